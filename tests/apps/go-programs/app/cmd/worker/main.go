package main

import (
	"fmt"
	"time"

	"example.com/harbour/tides/internal/tables"
)

func main() {
	for range time.Tick(time.Minute) {
		fmt.Println(tables.Next("Cuxhaven"))
	}
}
