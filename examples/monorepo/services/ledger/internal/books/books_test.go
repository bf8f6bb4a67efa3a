package books

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheBalanceIsExact(t *testing.T) {
	got, err := Balance()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("98.75", got); diff != "" {
		t.Error(diff)
	}
}
