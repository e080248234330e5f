// Command screenshot is a web service that takes a picture of a web page: GET /screenshot?url=https://…
// It starts a Chromium for each request, and kills it when the picture is there, when the client has gone away,
// or when a minute has passed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on; port 0 takes a free one")
	browser := flag.String("browser", "chromium", "browser to start")
	flag.Parse()

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	ownPage := fmt.Sprintf("http://127.0.0.1:%d/page", listener.Addr().(*net.TCPAddr).Port)

	http.HandleFunc("/page", page)
	http.HandleFunc("/screenshot", func(response http.ResponseWriter, request *http.Request) {
		url := request.FormValue("url")
		if url == "" {
			url = ownPage
		}
		ctx, cancel := context.WithTimeout(request.Context(), time.Minute)
		defer cancel()
		png, err := screenshot(ctx, *browser, url)
		if err != nil {
			log.Printf("%s: %v", url, err)
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
		response.Header().Set("Content-Type", "image/png")
		response.Write(png)
	})

	var server http.Server
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	finished := make(chan struct{})
	go func() {
		<-stop.Done()
		server.Shutdown(context.Background())
		close(finished)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-finished
}

var visits atomic.Int64

// The page to take where the request names none, so that the example needs no network. No two are alike.
func page(response http.ResponseWriter, request *http.Request) {
	fmt.Fprintf(response, `<!DOCTYPE html>
<body style="margin: 3em; font: 2em sans-serif; background: linear-gradient(#fff, #8cf)">
<h1>Page %d</h1><p>%s</p>
<iframe srcdoc="<p>A frame" sandbox></iframe>`, visits.Add(1), time.Now().Format(time.RFC3339Nano))
}
