package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

// What the metadata of an encrypted payload says, by the names that Temporal's own examples use.
const (
	encodingKey   = converter.MetadataEncoding
	encrypted     = "binary/encrypted"
	encryptionKey = "encryption-key-id"
)

// Configure makes a client encrypt with the keys of a file. Without a file it encrypts nothing, and says what to do
// when it comes across something encrypted.
func Configure(options *client.Options, keyFile string) error {
	var keys Keys
	if keyFile != "" {
		var err error
		if keys, err = ReadKeys(keyFile); err != nil {
			return err
		}
	} else if options.DataConverter != nil {
		return nil // the user's Temporal configuration has a codec
	}
	options.DataConverter = converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), New(keys))
	options.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: options.DataConverter, EncodeCommonAttributes: keyFile != "",
	})
	return nil
}

// codec encrypts each payload by itself.
type codec struct{ keys Keys }

// New makes a codec. Without keys it encrypts nothing and refuses what is encrypted.
func New(keys Keys) converter.PayloadCodec { return codec{keys} }

// Encode implements converter.PayloadCodec.
func (c codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if c.keys.first == "" {
		return payloads, nil
	}
	return each(payloads, c.encrypt)
}

// Decode implements converter.PayloadCodec. What isn't encrypted stays as it is: it may be from before there was a key.
func (c codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, func(p *commonpb.Payload) (*commonpb.Payload, error) {
		if string(p.GetMetadata()[encodingKey]) != encrypted {
			return p, nil
		}
		return c.decrypt(p)
	})
}

func each(payloads []*commonpb.Payload, do func(*commonpb.Payload) (*commonpb.Payload, error)) ([]*commonpb.Payload, error) {
	done := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if done[i], err = do(p); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// Sizes in bytes.
const (
	saltSize  = 16
	nonceSize = 12
)

// encrypt writes salt, nonce and ciphertext. A key of AES-GCM is good for 2^32 random nonces, which a fleet uses up in
// months, so each payload has a key of its own, derived from a random salt.
func (c codec) encrypt(p *commonpb.Payload) (*commonpb.Payload, error) {
	plain, err := proto.Marshal(p)
	if err != nil {
		return nil, err
	}
	data := make([]byte, saltSize+nonceSize, saltSize+nonceSize+len(plain)+16)
	_, _ = rand.Read(data) // never fails
	id := c.keys.first
	aead, err := c.keys.cipher(id, data[:saltSize])
	if err != nil {
		return nil, err
	}
	return &commonpb.Payload{
		Metadata: map[string][]byte{encodingKey: []byte(encrypted), encryptionKey: []byte(id)},
		Data:     aead.Seal(data, data[saltSize:], plain, []byte(id)),
	}, nil
}

func (c codec) decrypt(p *commonpb.Payload) (*commonpb.Payload, error) {
	id := string(p.GetMetadata()[encryptionKey])
	switch {
	case c.keys.first == "":
		return nil, fmt.Errorf("what Temporal holds is encrypted with key %q: give the file with it by --codec-key-file or ACS_CODEC_KEY_FILE", id)
	case c.keys.byID[id] == nil:
		return nil, fmt.Errorf("what Temporal holds is encrypted with key %q, which is not in the codec's key file: add it, below the key to encrypt with", id)
	}
	data := p.GetData()
	if len(data) < saltSize+nonceSize {
		return nil, errors.New("an encrypted payload is cut off")
	}
	aead, err := c.keys.cipher(id, data[:saltSize])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, data[saltSize:saltSize+nonceSize], data[saltSize+nonceSize:], []byte(id))
	if err != nil {
		return nil, fmt.Errorf("key %q does not decrypt what Temporal holds: another key has that ID in the key file of who wrote it", id)
	}
	payload := new(commonpb.Payload)
	return payload, proto.Unmarshal(plain, payload)
}

// cipher is that of one payload.
func (k Keys) cipher(id string, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.byID[id], salt, "active-cluster-sync payload", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
