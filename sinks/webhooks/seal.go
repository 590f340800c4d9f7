package webhooks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/kasi-collections/kasi/schemas"
)

// seal keeps the secrets of webhooks unreadable on their topic.
type seal struct{ cipher.AEAD }

func newSeal(secret string) (seal, error) {
	key := sha256.Sum256([]byte("kasi webhooks " + secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return seal{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return seal{aead}, err
}

// newSecret makes a signing secret as the Standard Webhooks specification writes it.
func newSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

func (s seal) close(webhook, secret string) []byte {
	return s.Seal(nil, nil, []byte(secret), []byte(webhook))
}

func (s seal) open(webhook string, sealed []byte) (string, error) {
	b, err := s.Open(nil, nil, sealed, []byte(webhook))
	if err != nil {
		return "", errors.New("its secret was sealed by another KASI_WEBHOOKS_SECRET: set that one, or rotate the secret")
	}
	return string(b), nil
}

// sign signs a payload with each secret that is valid at an instant, the newest first.
func (s seal) sign(w *schemas.Webhook, id string, at time.Time, payload string) (string, error) {
	var all []string
	for _, sec := range w.Secrets {
		if !sec.Until.IsZero() && sec.Until.Before(at) {
			continue
		}
		secret, err := s.open(w.ID, sec.Sealed)
		if err != nil {
			return "", err
		}
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", err
		}
		signature, err := signer.Sign(id, at, []byte(payload))
		if err != nil {
			return "", err
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}
