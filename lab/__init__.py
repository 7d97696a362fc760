"""The laboratory: a realm of real daemons, on loopback or in a container."""
