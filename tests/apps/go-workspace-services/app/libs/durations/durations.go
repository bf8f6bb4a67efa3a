// Package durations says how long something takes.
package durations

import (
	"time"

	"example.com/acme/libs/sizes"
)

// InWords is a duration in seconds, for people.
func InWords(text string) string {
	duration, err := time.ParseDuration(text)
	if err != nil {
		return err.Error()
	}
	return sizes.InWords(uint64(duration.Seconds())) + " of seconds"
}
