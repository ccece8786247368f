package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Long enough for a cluster that somebody forgot, short enough to be of no use to anyone else.
const lifetime = 30 * 24 * time.Hour

// An authority that signs everything of one cluster; its key never leaves the process.
type authority struct {
	folder      string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// writeCertificates makes the authority, the serving certificates, the service account key and a kubeconfig for each
// client: `certificates --folder F --server URL --node NAME --node-address IP --service-address IP`.
func writeCertificates(arguments []string) error {
	flags := flag.NewFlagSet("certificates", flag.ContinueOnError)
	folder := flags.String("folder", "", "where the files go")
	server := flags.String("server", "", "URL of the API server in the kubeconfigs")
	node := flags.String("node", "", "name of the node")
	nodeAddress := flags.String("node-address", "", "address of the node: the kubelet serves there")
	serviceAddress := flags.String("service-address", "", "address of the service kubernetes, for pods")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	ca, err := newAuthority(*folder)
	if err != nil {
		return err
	}
	if err := ca.writeServing("apiserver", []string{
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}, []string{"127.0.0.1", *serviceAddress}); err != nil {
		return err
	}
	if err := ca.writeServing("kubelet", []string{*node}, []string{*nodeAddress}); err != nil {
		return err
	}
	if err := ca.writeServiceAccountKey(); err != nil {
		return err
	}
	// The API server shows this one to the kubelet when it reads logs.
	if err := ca.writeClient("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"); err != nil {
		return err
	}
	// Names and groups are those that the authorizers and the default roles expect:
	// https://kubernetes.io/docs/setup/best-practices/certificates/#configure-certificates-for-user-accounts
	for _, client := range []struct{ file, name, group string }{
		{"admin", "admin", "system:masters"},
		{"controller-manager", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""},
		{"node", "system:node:" + *node, "system:nodes"},
	} {
		if err := ca.writeKubeconfig(client.file, client.name, client.group, *server); err != nil {
			return err
		}
	}
	return nil
}

func newAuthority(folder string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template("kubernetes-ca", "")
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	ca := &authority{folder, certificate, key}
	return ca, ca.write("ca.crt", "CERTIFICATE", der)
}

func (ca *authority) writeServing(file string, names, addresses []string) error {
	template := template(names[0], "")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = names
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	return ca.writePair(file, template)
}

func (ca *authority) writeClient(file, name, group string) error {
	template := template(name, group)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.writePair(file, template)
}

func (ca *authority) writePair(file string, template *x509.Certificate) error {
	certificate, key, err := ca.sign(template)
	if err != nil {
		return err
	}
	if err := ca.write(file+".crt", "CERTIFICATE", certificate); err != nil {
		return err
	}
	return ca.write(file+".key", "EC PRIVATE KEY", key)
}

func (ca *authority) writeKubeconfig(file, name, group, server string) error {
	template := template(name, group)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	certificate, key, err := ca.sign(template)
	if err != nil {
		return err
	}
	config := api.NewConfig()
	config.Clusters["cluster"] = &api.Cluster{
		Server:                   server,
		CertificateAuthorityData: encode("CERTIFICATE", ca.certificate.Raw),
	}
	config.AuthInfos[file] = &api.AuthInfo{
		ClientCertificateData: encode("CERTIFICATE", certificate),
		ClientKeyData:         encode("EC PRIVATE KEY", key),
	}
	config.Contexts["cluster"] = &api.Context{Cluster: "cluster", AuthInfo: file}
	config.CurrentContext = "cluster"
	return clientcmd.WriteToFile(*config, filepath.Join(ca.folder, file+".kubeconfig"))
}

// The key that signs service account tokens; the API server checks them with the same file.
func (ca *authority) writeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return ca.write("service-account.key", "EC PRIVATE KEY", der)
}

// sign makes a key and a certificate for it, both in DER.
func (ca *authority) sign(template *x509.Certificate) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if key, err = x509.MarshalECPrivateKey(private); err != nil {
		return nil, nil, err
	}
	certificate, err = x509.CreateCertificate(rand.Reader, template, ca.certificate, private.Public(), ca.key)
	return certificate, key, err
}

func (ca *authority) write(name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(ca.folder, name), encode(kind, der), 0o600)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func template(name, group string) *x509.Certificate {
	subject := pkix.Name{CommonName: name}
	if group != "" {
		subject.Organization = []string{group}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		// The reader of crypto/rand never fails; it ends the process instead.
		panic(err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		// An hour back: clocks that are set while a machine comes up.
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(lifetime),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}
