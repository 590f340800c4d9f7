package kafkatest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Security is how a secured Kafka is met: over TLS only, by users who log in, and who may do what ACLs allow. Apache
// Kafka also takes unsigned tokens of OAUTHBEARER.
type Security struct {
	CA, Cert, Key string // PEM files
	// Users are names and passwords, good for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. Super may do everything.
	Users map[string]string
	Super string
	// Mutual asks clients for a certificate of the CA, too.
	Mutual bool
}

// mechanisms are the logins of Users.
var mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

// Secured gives the test a secured Kafka of its own: the embedded one, or with KASI_TEST_KAFKA=local an Apache Kafka.
func Secured(t testing.TB, s Security) *Kafka {
	t.Helper()
	if Chosen() != Local {
		return secureFake(t, s)
	}
	c, err := StartCluster(1, func(c *Cluster) { c.Security = &s })
	if err != nil {
		t.Fatalf("secured Kafka: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.Keep()
			t.Logf("Kafka's logs and data are kept in %s", c.dir)
		}
		c.Stop()
	})
	if err := s.addUsers(c.Brokers()); err != nil {
		t.Fatalf("users of the secured Kafka: %v", err)
	}
	k := &Kafka{Kind: Local, Replication: 1, Cluster: c}
	for _, n := range c.nodes {
		k.Brokers = append(k.Brokers, n.secure)
	}
	return k
}

func secureFake(t testing.TB, s Security) *Kafka {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if s.Mutual {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			t.Fatal(err)
		}
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AppendCertsFromPEM(pem)
	}
	opts := []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.TLS(c)}
	for name, password := range s.Users {
		for _, m := range mechanisms {
			if name == s.Super {
				opts = append(opts, kfake.Superuser(m, name, password))
			} else {
				opts = append(opts, kfake.User(m, name, password))
			}
		}
	}
	return Fake(t, opts...)
}

// The harness itself meets the broker at its plain listener, where it may do everything.
const openToAll = "User:ANONYMOUS"

// secure adds a listener to a node's properties: TLS and a login. A second one would not be met by anybody.
func (s *Security) secure(own map[string]string, addr string) error {
	chain, err := os.ReadFile(s.Cert)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(s.Key)
	if err != nil {
		return err
	}
	store := filepath.Join(filepath.Dir(own["log.dirs"]), "broker.pem") // Kafka wants both in one file
	if err := os.WriteFile(store, slices.Concat(key, chain), 0o600); err != nil {
		return err
	}
	const listener = "listener.name.secured."
	jaas := listener + "%s.sasl.jaas.config"
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for name, password := range s.Users {
		plain += fmt.Sprintf(` user_%s="%s"`, name, password)
	}
	token := "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required " +
		`unsecuredLoginStringClaim_sub="broker";`
	clientAuth := "none"
	if s.Mutual {
		clientAuth = "required"
	}
	scram := "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	for k, v := range map[string]string{
		"listeners":                                 own["listeners"] + ",SECURED://" + addr,
		"advertised.listeners":                      own["advertised.listeners"] + ",SECURED://" + addr,
		"listener.security.protocol.map":            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL",
		"inter.broker.listener.name":                "PLAINTEXT",
		listener + "ssl.keystore.type":              "PEM",
		listener + "ssl.keystore.location":          store,
		listener + "ssl.truststore.type":            "PEM",
		listener + "ssl.truststore.location":        s.CA,
		listener + "ssl.client.auth":                clientAuth,
		listener + "sasl.enabled.mechanisms":        strings.Join(mechanisms, ",") + ",OAUTHBEARER",
		fmt.Sprintf(jaas, "plain"):                  plain + ";",
		fmt.Sprintf(jaas, "oauthbearer"):            token,
		fmt.Sprintf(jaas, "scram-sha-256"):          scram,
		fmt.Sprintf(jaas, "scram-sha-512"):          scram,
		"authorizer.class.name":                     "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                               openToAll + ";User:" + cmp.Or(s.Super, "nobody"),
		"connection.failed.authentication.delay.ms": "100",
	} {
		own[k] = v
	}
	return nil
}

// addUsers gives the users their SCRAM credentials.
func (s *Security) addUsers(brokers []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} { // Kafka takes a user once a request
		var all []kadm.UpsertSCRAM
		for name, password := range s.Users {
			all = append(all, kadm.UpsertSCRAM{User: name, Mechanism: m, Iterations: 4096, Password: password})
		}
		altered, err := kadm.NewClient(cl).AlterUserSCRAMs(ctx, nil, all)
		if err = cmp.Or(err, altered.Error()); err != nil {
			return err
		}
	}
	return nil
}
