"""The machine: devices, files, progress bars, clocks."""
