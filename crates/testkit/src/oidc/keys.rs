//! The keys of an issuer, and what it signs with them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    Rs256,
    Ps256,
    Es256,
}

impl Signing {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }
}

/// One RSA key and one EC key sign; those that nobody has published yet are next.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) signing: Signing,
    rsa: [RsaKeyPair; 2],
    ec: [EcdsaKeyPair; 2],
    /// How often they were exchanged.
    rotations: usize,
}

// Of keys that are made here or kept beside this file, and of what fits into memory.
#[expect(clippy::expect_used, reason = "a test that has no keys cannot go on")]
impl Keys {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let rsa = |pkcs8: &[u8]| RsaKeyPair::from_pkcs8(pkcs8).expect("an RSA key");
        let ec = || {
            let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let made = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("an EC key");
            EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).expect("an EC key")
        };
        Self {
            signing: Signing::Rs256,
            rsa: [
                rsa(include_bytes!("rsa-1.pk8")),
                rsa(include_bytes!("rsa-2.pk8")),
            ],
            ec: [ec(), ec()],
            rotations: 0,
        }
    }

    pub(super) fn rotate(&mut self) {
        self.rotations += 1;
        self.rsa.swap(0, 1);
        self.ec.swap(0, 1);
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}-{}", self.rotations)
    }

    /// As a JSON Web Key Set (RFC 7517), with keys for other purposes and of other kinds in between.
    pub(super) fn published(&self) -> Value {
        let [rsa, _] = &self.rsa;
        let [ec, _] = &self.ec;
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public: PublicKeyComponents<Vec<u8>> = rsa.public().into();
        let point = ec.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        json!({"keys": [
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
            {"kty": "RSA", "use": "enc", "kid": "encryption", "n": encoded(&public.n), "e": encoded(&public.e)},
            {"kty": "RSA", "use": "sig", "kid": self.id("rsa"), "n": encoded(&public.n), "e": encoded(&public.e)},
            {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id("ec"), "x": encoded(x), "y": encoded(y)},
        ]})
    }

    /// `wrong`: by the keys that are not published, under the names of those that are.
    pub(super) fn signed(&self, claims: &Value, wrong: bool) -> String {
        let random = SystemRandom::new();
        let [rsa, other_rsa] = &self.rsa;
        let [ec, other_ec] = &self.ec;
        let (rsa, ec) = if wrong {
            (other_rsa, other_ec)
        } else {
            (rsa, ec)
        };
        let kind = match self.signing {
            Signing::Rs256 | Signing::Ps256 => "rsa",
            Signing::Es256 => "ec",
        };
        let head = json!({"alg": self.signing.name(), "kid": self.id(kind), "typ": "JWT"});
        let text = unsigned_part(&head, claims);
        let mut signature = vec![0; rsa.public().modulus_len()];
        match self.signing {
            Signing::Rs256 => rsa
                .sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
                .expect("a signature"),
            Signing::Ps256 => rsa
                .sign(&RSA_PSS_SHA256, &random, text.as_bytes(), &mut signature)
                .expect("a signature"),
            Signing::Es256 => {
                let signed = ec.sign(&random, text.as_bytes()).expect("a signature");
                signature = signed.as_ref().to_vec();
            }
        }
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// With the published key as if it were a secret.
    pub(super) fn symmetric(&self, claims: &Value) -> String {
        let [rsa, _] = &self.rsa;
        let head = json!({"alg": "HS256", "kid": self.id("rsa")});
        let text = unsigned_part(&head, claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, rsa.public().as_ref());
        let mac = hmac::sign(&key, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
    }
}

pub(super) fn unsigned(claims: &Value) -> String {
    format!("{}.", unsigned_part(&json!({"alg": "none"}), claims))
}

fn unsigned_part(head: &Value, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encoded(head), encoded(claims))
}
