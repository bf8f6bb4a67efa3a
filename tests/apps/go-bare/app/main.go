package main

import (
	"fmt"
	"log"
	"math/big"
	"net/http"
	"os"
	"strconv"
)

func factorial(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 16)
	if err != nil || n < 0 {
		http.Error(w, "n is a number", http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, new(big.Int).MulRange(1, n))
}

func main() {
	http.HandleFunc("/", factorial)
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
