// Package sizes says how large something is.
package sizes

import "github.com/dustin/go-humanize"

// InWords is a number of bytes, for people.
func InWords(bytes uint64) string {
	return humanize.Bytes(bytes)
}
