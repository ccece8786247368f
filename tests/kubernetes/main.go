// The parts of a single-node Kubernetes in one program, and the chores that bring them up: certificates, images,
// starting, waiting until they serve. `cargo xtask kubernetes` builds it, starts it once a part and records what it
// started.
//
// The parts are the upstream commands, untouched: what the tests meet is what a cluster runs.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Commands of upstream; each reads its flags from os.Args.
var parts = map[string]func() *cobra.Command{
	"kube-apiserver":          func() *cobra.Command { return apiserver.NewAPIServerCommand() },
	"kube-controller-manager": func() *cobra.Command { return controllermanager.NewControllerManagerCommand() },
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// Our own; each takes plain arguments.
var chores = map[string]func(arguments []string) error{
	"certificates": writeCertificates,
	"images":       writeImages,
	"await":        await,
	"node":         printNode,
	"detach":       detach,
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("no command given"))
	}
	// Upstream commands take their name from the first argument.
	os.Args = os.Args[1:]
	name, arguments := os.Args[0], os.Args[1:]
	if name == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	if part, found := parts[name]; found {
		os.Exit(cli.Run(part()))
	}
	chore, found := chores[name]
	if !found {
		fail(fmt.Errorf("no command is called `%s`", name))
	}
	if err := chore(arguments); err != nil {
		fail(fmt.Errorf("%s: %w", name, err))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
