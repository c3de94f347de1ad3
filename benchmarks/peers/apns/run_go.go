// Go's net/http against the stand-in, as sideshow/apns2 uses it: run_go <port> <pem> <pushes> <connections>
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func main() {
	port, pem := os.Args[1], os.Args[2]
	pushes, _ := strconv.Atoi(os.Args[3])
	connections, _ := strconv.Atoi(os.Args[4])
	data, _ := os.ReadFile(pem)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		panic(err)
	}
	clients := make([]*http.Client, connections)
	for i := range clients {
		config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		clients[i] = &http.Client{Transport: transport}
	}
	pushAll := func(count int) int64 {
		var accepted int64
		var group sync.WaitGroup
		var next int64 = -1
		for sender := 0; sender < 900*connections; sender++ {
			group.Add(1)
			client := clients[sender%connections]
			go func() {
				defer group.Done()
				for {
					number := atomic.AddInt64(&next, 1)
					if number >= int64(count) {
						return
					}
					url := fmt.Sprintf("https://127.0.0.1:%s/3/device/%064x", port, number)
					request, _ := http.NewRequest("POST", url, strings.NewReader("{}"))
					request.Header.Set("apns-topic", "pass.example.passbell")
					answer, err := client.Do(request)
					if err == nil {
						io.Copy(io.Discard, answer.Body)
						answer.Body.Close()
						if answer.StatusCode == 200 {
							atomic.AddInt64(&accepted, 1)
						}
					}
				}
			}()
		}
		group.Wait()
		return accepted
	}
	for _, client := range clients { // one connection each, before thousands ask for one
		answer, err := client.Post("https://127.0.0.1:"+port+"/3/device/00", "", strings.NewReader("{}"))
		if err != nil {
			panic(err)
		}
		answer.Body.Close()
	}
	started, before := time.Now(), cpu()
	accepted := pushAll(pushes)
	seconds := time.Since(started).Seconds()
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"seconds": seconds, "cpu": cpu() - before, "accepted": accepted, "rss_mb": usage.Maxrss / 1024,
	})
}
