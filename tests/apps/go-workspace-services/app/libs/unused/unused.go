// Package unused is needed by nobody.
package unused

import "github.com/google/uuid"

// New is another one every time.
func New() string {
	return uuid.NewString()
}
