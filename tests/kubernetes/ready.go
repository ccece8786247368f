package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// How often something that is not ready yet is asked again.
const interval = 100 * time.Millisecond

// What `node` prints.
type node struct {
	// Version of the API server, as it says itself.
	Version string `json:"version"`
	// Name of the node; empty while it has not registered.
	Name string `json:"name"`
	// Whether its condition Ready is True.
	Ready bool `json:"ready"`
	// What the condition Ready says.
	Message string `json:"message"`
	// Keys of the taints; no pod is placed while there is one, unless it tolerates it.
	Taints []string `json:"taints"`
}

// await waits for ever, its parent has the patience: `await healthy URL…` until each answers 200, `await cluster
// KUBECONFIG` until a pod can be made and would run.
func await(arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("expected `healthy URL…` or `cluster KUBECONFIG`")
	}
	switch kind, rest := arguments[0], arguments[1:]; kind {
	case "healthy":
		for _, url := range rest {
			awaitHealthy(url)
		}
		return nil
	case "cluster":
		return awaitCluster(rest[0])
	default:
		return fmt.Errorf("`%s` is neither `healthy` nor `cluster`", kind)
	}
}

func awaitHealthy(url string) {
	// Nothing secret is sent and nothing is believed but the status; some parts make their own certificate.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	for ; ; time.Sleep(interval) {
		response, err := client.Get(url)
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
	}
}

func awaitCluster(kubeconfig string) error {
	client, err := connect(kubeconfig)
	if err != nil {
		return err
	}
	for ; ; time.Sleep(interval) {
		node, err := describe(client)
		if err != nil || !node.Ready || slices.ContainsFunc(node.Taints, passes) {
			continue
		}
		// Made by the controller manager, and no pod is admitted without it.
		accounts := client.CoreV1().ServiceAccounts("default")
		if _, err := accounts.Get(context.Background(), "default", metav1.GetOptions{}); err == nil {
			return nil
		}
	}
}

// passes tells a taint that a node loses by itself when it gets ready from the one of a node that somebody drained.
func passes(taint string) bool {
	return taint != corev1.TaintNodeUnschedulable
}

// printNode says how the node is, as JSON: `node KUBECONFIG`.
func printNode(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("expected `KUBECONFIG`")
	}
	client, err := connect(arguments[0])
	if err != nil {
		return err
	}
	node, err := describe(client)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(node)
}

func connect(kubeconfig string) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Timeout = 5 * time.Second
	return kubernetes.NewForConfig(config)
}

func describe(client *kubernetes.Clientset) (node, error) {
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return node{}, err
	}
	nodes, err := client.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return node{}, err
	}
	found := node{Version: version.GitVersion, Taints: []string{}}
	for _, item := range nodes.Items {
		found.Name = item.Name
		for _, taint := range item.Spec.Taints {
			found.Taints = append(found.Taints, taint.Key)
		}
		for _, condition := range item.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				found.Ready = condition.Status == corev1.ConditionTrue
				found.Message = condition.Message
			}
		}
	}
	return found, nil
}
