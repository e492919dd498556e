// SPDX-License-Identifier: Apache-2.0

// FerretDB, a server of MongoDB's wire protocol, with SQLite behind it: takes
// TLS with a client certificate of its CA and nothing else, as mongod does with
// --tlsMode requireTLS.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func serve(address, pem, ca, folder string) error {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{
			TLS:         address,
			TLSCertFile: pem,
			TLSKeyFile:  pem,
			TLSCAFile:   ca,
		},
		Handler:   "sqlite",
		SQLiteURL: "file:" + folder + "/",
	})
	if err != nil {
		return err
	}
	return server.Run(context.Background())
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: ferretdb ADDRESS PEM CA FOLDER")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
