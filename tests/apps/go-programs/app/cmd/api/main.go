package main

import (
	"encoding/json"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"

	"example.com/harbour/tides/internal/tables"
)

func main() {
	router := chi.NewRouter()
	router.Get("/", func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("Content-Type", "application/json")
		json.NewEncoder(response).Encode(tables.Next("Hamburg"))
	})
	http.ListenAndServe(":"+os.Getenv("PORT"), router)
}
