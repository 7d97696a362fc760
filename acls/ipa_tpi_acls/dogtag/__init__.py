"""Who may do what on Dogtag's REST resources, for people who come by Kerberos (D07, D16, D17)."""
