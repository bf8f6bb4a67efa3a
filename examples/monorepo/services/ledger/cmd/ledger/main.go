// Ledger answers with the balance of the shop's books.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"

	"example.com/harbour/ledger/internal/books"
)

func balance(w http.ResponseWriter, _ *http.Request) {
	sum, err := books.Balance()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{
		"app":         "ledger",
		"computed_by": "github.com/shopspring/decimal",
		"balance":     sum,
	})
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	router := chi.NewRouter()
	router.Get("/", balance)
	server := &http.Server{Addr: net.JoinHostPort("0.0.0.0", port), Handler: router, ReadHeaderTimeout: 5 * time.Second}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	group, stop := errgroup.WithContext(stop)
	group.Go(func() error {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-stop.Done()
		grace, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		return server.Shutdown(grace)
	})
	log.Printf("ledger listens on %s", port)
	if err := group.Wait(); err != nil {
		log.Fatal(err)
	}
}
