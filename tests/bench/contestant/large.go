// SPDX-License-Identifier: Apache-2.0

//go:build linux && bench_large

package main

import (
	"crypto/tls"
	"encoding/gob"
	"encoding/xml"
	"go/importer"
	"go/token"
	"html/template"
	"image/gif"
	"net/http"
	"net/http/httputil"
	"net/rpc"
	"os"
)

// What a program of runc's size is made of. Templates call methods by name, so the linker keeps all of
// them. Nothing of it runs: no contestant has this many arguments.
func init() {
	if len(os.Args) < 100 {
		return
	}
	template.Must(template.New("").Parse(os.Args[1])).Execute(os.Stdout, []any{
		&tls.Config{}, &gob.Decoder{}, &xml.Decoder{}, importer.ForCompiler(token.NewFileSet(), "source", nil),
		&gif.GIF{}, http.DefaultServeMux, &httputil.ReverseProxy{}, rpc.DefaultServer,
	})
}
