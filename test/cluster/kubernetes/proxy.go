// SPDX-License-Identifier: Apache-2.0

package main

import "k8s.io/kubernetes/cmd/kube-proxy/app"

func init() {
	components["kube-proxy"] = app.NewProxyCommand
}
