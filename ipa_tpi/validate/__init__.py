"""The service that runs one validation program (K05); started by systemd for each question, as ipatpi-validator."""
