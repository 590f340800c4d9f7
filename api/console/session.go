package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	cookieName = "kasi_session"
	// sessionLasts is how long a login holds.
	sessionLasts = 12 * time.Hour
)

// seal encrypts a session into its cookie. A session is the key it was begun with and when it ends, so nothing is kept
// on the server, and whoever reads the cookie does not have the key.
type seal struct{ aead cipher.AEAD }

type session struct {
	Key  string
	Ends time.Time
}

func newSeal(secret string) (*seal, error) {
	key := sha256.Sum256([]byte("kasi console session\n" + secret))
	if secret == "" {
		_, _ = rand.Read(key[:]) // never fails
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return &seal{aead}, nil
}

// cookie is the value of the cookie of a session.
func (s *seal) cookie(of session) (string, error) {
	b, err := json.Marshal(of)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, nil)), nil
}

// keyOf is the key of a request's session; empty where it has none, or one that was not sealed here or has ended.
func (s *seal) keyOf(r *http.Request, now time.Time) string {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	b, err := s.aead.Open(nil, nil, sealed, nil)
	var of session
	if err != nil || json.Unmarshal(b, &of) != nil || now.After(of.Ends) {
		return ""
	}
	return of.Key
}

// loginWith is the login that leads back to the page that was asked for.
func loginWith(r *http.Request) string {
	if r.URL.Path == "/" && r.URL.RawQuery == "" {
		return "/login"
	}
	return "/login?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
}

type loginBody struct{ Next, Error string }

func (c *console) loginPage(w http.ResponseWriter, r *http.Request) {
	c.render(w, http.StatusOK, "login", frame{Page: "login", Body: loginBody{Next: r.URL.Query().Get("next")}})
}

func (c *console) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<14)
	key, next := strings.TrimSpace(r.PostFormValue("key")), r.PostFormValue("next")
	if _, ok := c.Bearer(key); !ok {
		c.render(w, http.StatusUnauthorized, "login", frame{
			Page: "login", Body: loginBody{next, "This key is not known. Keys are made with kasi keys create."},
		})
		return
	}
	value, err := c.seal.cookie(session{key, time.Now().Add(sessionLasts)})
	if err != nil {
		c.fail(w, nil, http.StatusInternalServerError, "The session could not be made.")
		return
	}
	c.setCookie(w, value, sessionLasts)
	http.Redirect(w, r, local(next), http.StatusSeeOther)
}

func (c *console) logout(w http.ResponseWriter, r *http.Request) {
	c.setCookie(w, "", -time.Second)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (c *console) setCookie(w http.ResponseWriter, value string, lasts time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: int(lasts.Seconds()), HttpOnly: true, Secure: c.Secure,
		SameSite: http.SameSiteStrictMode,
	})
}

// local is an address of this console: a login never leads elsewhere.
func local(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return next
}
