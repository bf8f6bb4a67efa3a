"""Manifests, blobs and tokens of a registry (OCI distribution specification 1.1, and Docker's older dialect of it).

`reference` and `hosts` are light and may be imported by anyone; everything that speaks imports h11, and is
imported by the composition root only. Hence nothing is re-exported here.
"""
