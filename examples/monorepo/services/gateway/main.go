// Gateway is the door of the shop: it names every route by a UUID that is the same on every machine.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/cors"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/zerolog"
)

func routes() http.Handler {
	router := chi.NewRouter()
	router.Use(cors.Handler(cors.Options{AllowedMethods: []string{http.MethodGet}}))
	router.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{
			"app":         "gateway",
			"computed_by": "github.com/google/uuid",
			"route":       uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://harbour.example/checkout")).String(),
		})
	})
	return gzhttp.GzipHandler(router)
}

func main() {
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	port := os.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	server := &http.Server{Addr: net.JoinHostPort("0.0.0.0", port), Handler: routes(), ReadHeaderTimeout: 5 * time.Second}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go func() {
		<-stop.Done()
		grace, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		server.Shutdown(grace)
	}()

	log.Info().Str("port", port).Msg("gateway listens")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal().Err(err).Msg("gateway stopped")
	}
}
