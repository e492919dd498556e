// SPDX-License-Identifier: Apache-2.0

package main

import "k8s.io/kubernetes/cmd/kube-apiserver/app"

func init() {
	components["kube-apiserver"] = app.NewAPIServerCommand
}
