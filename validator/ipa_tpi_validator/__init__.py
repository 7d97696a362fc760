"""The certificate validator: decides what Dogtag may issue, as FreeIPA's framework would (D09, D10).

Dogtag starts a small program for each request; it asks the resident service of this package, which
decides with the caller's own ticket.  Layers: ``service → directory | tickets → checks → caacl | addresses →
csr | environment → der | principals | refusal``.
"""
