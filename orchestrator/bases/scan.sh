#!/bin/sh
# Lists what an image is made of, as SPDX 2.3: Debian's packages, and the archives that recipes have put there.
# By the protocol of BuildKit for scanners: docs/attestations/sbom-protocol.md, v0.30.0.
set -eu
listed=/tmp/listed
dpkg-query --admindir="$BUILDKIT_SCAN_SOURCE/var/lib/dpkg" --show \
  --showformat='deb\t${Package}\t${Version}\t${Architecture}\t\n' >"$listed"
for file in "$BUILDKIT_SCAN_SOURCE"/usr/share/fleetpacks/bases/*.tsv; do
  if [ -f "$file" ]; then cat "$file" >>"$listed"; fi
done
digest=$(sha256sum "$listed" | cut -d ' ' -f 1)
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)
awk -F '\t' -v digest="$digest" -v created="$created" '
  function encoded(text) { gsub(/\+/, "%2B", text); gsub(/:/, "%3A", text); gsub(/@/, "%40", text); return text }
  function purl(kind, name, version, more) {
    if (kind == "deb") return "pkg:deb/debian/" encoded(name) "@" encoded(version) "?arch=" more
    if (kind == "go") kind = "golang"
    if (kind == "maven") sub(/:/, "/", name)
    return "pkg:" kind "/" encoded(name) "@" encoded(version)
  }
  BEGIN {
    printf "{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"predicateType\":\"https://spdx.dev/Document\",\"predicate\":{"
    printf "\"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\",\"SPDXID\":\"SPDXRef-DOCUMENT\",\"name\":\"base image\","
    printf "\"documentNamespace\":\"https://spdx.org/spdxdocs/fleetpacks-base-%s\",", digest
    printf "\"creationInfo\":{\"created\":\"%s\",\"creators\":[\"Tool: fleetpacks\"]},\"packages\":[", created
  }
  {
    printf "%s{\"SPDXID\":\"SPDXRef-Package-%d\",\"name\":\"%s\",\"versionInfo\":\"%s\",", (NR == 1 ? "" : ","), NR, $2, $3
    printf "\"downloadLocation\":\"NOASSERTION\",\"filesAnalyzed\":false,"
    if ($5 != "") printf "\"checksums\":[{\"algorithm\":\"SHA256\",\"checksumValue\":\"%s\"}],", $5
    printf "\"externalRefs\":[{\"referenceCategory\":\"PACKAGE-MANAGER\",\"referenceType\":\"purl\",\"referenceLocator\":\"%s\"}]}", purl($1, $2, $3, $4)
  }
  END {
    printf "],\"relationships\":["
    for (i = 1; i <= NR; i++)
      printf "%s{\"spdxElementId\":\"SPDXRef-DOCUMENT\",\"relationshipType\":\"DESCRIBES\",\"relatedSpdxElement\":\"SPDXRef-Package-%d\"}", (i == 1 ? "" : ","), i
    printf "]}}\n"
  }
' "$listed" >"$BUILDKIT_SCAN_DESTINATION/packages.spdx.json"
