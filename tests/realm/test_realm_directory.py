"""The realm's people, groups and principals are what the laboratory promises, seen through the real servers."""

import ldap

def test_a_person_binds_as_his_entry(realm):
    for name, person in realm.people.items():
        connection = realm.ldap_as(realm.kinit(name))
        assert connection.whoami_s() == f"dn: {person['dn']}".replace("uid=Heidi", "uid=heidi")
        connection.unbind_s()
