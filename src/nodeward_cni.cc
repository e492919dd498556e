// SPDX-License-Identifier: Apache-2.0
//
// The plugin as a program of its own, linked statically: it runs on the node,
// not in the agent's image.
#include "cni/process.h"

int main() { return nodeward::cni::RunProcess(); }
