"""Makes the databases of the tests, in the format and with the fields of GeoLite2-Country, over addresses for documentation.

Needs `pip install mmdb_writer==0.2.7 netaddr`. Run it in this folder; what it writes is committed.
"""

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def country(code):
    return {"continent": {"code": "EU"}, "country": {"iso_code": code, "names": {"en": code}}}


def write(path, networks):
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-Country", description="test data")
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(path)


write(
    "countries.mmdb",
    {
        "203.0.113.0/24": country("DE"),
        "198.51.100.0/24": country("FR"),
        "2001:db8:1::/48": country("DE"),
        "2001:db8:2::/48": country("FR"),
        # Known to the database, but not where.
        "192.0.2.0/24": {"registered_country": {"iso_code": "DE"}, "traits": {"is_anonymous_proxy": True}},
    },
)
# A month later a block has moved.
write("countries-later.mmdb", {"203.0.113.0/24": country("FR"), "198.51.100.0/24": country("FR")})
