//! The key that attestations are signed with: ed25519, in a file that nobody else may read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use ed25519_dalek::{SECRET_KEY_LENGTH, SIGNATURE_LENGTH, Signature, Signer as _, SigningKey, VerifyingKey};
use patchwright_domain::journal::Digest;
use secrecy::SecretString;

/// What the key's file is called in the folder of the server's data.
pub const FILE_NAME: &str = "attestation-key.pem";
/// How long a file with a key may be, in bytes.
const KEY_BYTES_MAX: u64 = 16 * 1024;
/// The bits of a file's mode that let others at it.
const OTHERS: u32 = 0o077;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system does not let us at it, or at where it should be.
    #[error("the key file `{}`", file.display())]
    System {
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It must not be used as it is; with what to do about it.
    #[error("the key file `{}` {problem}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// A key that signs.
pub struct Key(SigningKey);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.public().id())
    }
}

/// The half of a key that everybody may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl Key {
    /// Reads a key that the operator made: PKCS#8 in PEM form, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`KeyError`], also for a file that others than its owner may read.
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        let system = |source| KeyError::System { file: file.to_owned(), source };
        let unusable = |problem: String| KeyError::Unusable { file: file.to_owned(), problem };
        // The mode is asked of what was opened, so that nothing can be put in its place in between.
        let mut opened = File::open(file).map_err(system)?;
        let metadata = opened.metadata().map_err(system)?;
        if !metadata.is_file() {
            return Err(unusable("is no file".into()));
        }
        if metadata.mode() & OTHERS != 0 {
            let mode = metadata.mode() & 0o7777;
            return Err(unusable(format!("has the mode {mode:04o}, so that others can use it: make it 0600")));
        }
        let text = text(&mut opened, file)?;
        let key = SigningKey::from_pkcs8_pem(&text);
        let hint = "make one with `openssl genpkey -algorithm ed25519`";
        key.map(Self).map_err(|error| unusable(format!("holds no ed25519 key as PKCS#8 in PEM form ({error}): {hint}")))
    }

    /// Reads a key, and makes it first where there is none. Of several who make it at a time one is taken by all.
    ///
    /// # Errors
    /// As [`Key::read`].
    pub fn ensure(file: &Path) -> Result<Self, KeyError> {
        match Self::read(file) {
            Err(KeyError::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let system = |source| KeyError::System { file: file.to_owned(), source };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make(folder, file).map_err(system)?;
        Self::read(file)
    }

    /// Itself in the form of its file, for those who see to it that it stands nowhere else.
    pub(crate) fn secret(&self) -> Option<SecretString> {
        self.0.to_pkcs8_pem(LineEnding::LF).ok().map(|pem| SecretString::from(pem.as_str()))
    }

    /// The half that everybody may have.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs some bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        self.0.sign(bytes).to_bytes()
    }

    /// A key of these bytes.
    fn of(secret: &[u8; SECRET_KEY_LENGTH]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }
}

/// Writes a new key beside the file and gives it the name only where nobody has it, once all of it is on the disk.
fn make(folder: &Path, file: &Path) -> io::Result<()> {
    let mut secret = [0_u8; SECRET_KEY_LENGTH];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut secret).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let pem = Key::of(&secret).0.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    // Temporary files are their owner's alone.
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    made.write_all(pem.as_bytes())?;
    made.as_file().sync_all()?;
    match made.persist_noclobber(file) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error),
    }
    File::open(folder)?.sync_all()
}

fn text(opened: &mut File, file: &Path) -> Result<String, KeyError> {
    let mut text = String::new();
    let read = opened.take(KEY_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|source| KeyError::System { file: file.to_owned(), source })?;
    Ok(text)
}

impl PublicKey {
    /// Reads a public key in PEM form; where the file holds a private one, its public half.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        let mut opened = File::open(file).map_err(|source| KeyError::System { file: file.to_owned(), source })?;
        let text = text(&mut opened, file)?;
        let public = VerifyingKey::from_public_key_pem(&text);
        let key = public.or_else(|error| SigningKey::from_pkcs8_pem(&text).map(|key| key.verifying_key()).map_err(|_| error));
        key.map(Self).map_err(|error| KeyError::Unusable {
            file: file.to_owned(),
            problem: format!("holds no ed25519 key in PEM form ({error}): the server tells its own at `/attestation/key`"),
        })
    }

    /// The key for others to read, in PEM form.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("a public key has a PEM form")
    }

    /// The digest of the key's DER form, by which keys are told apart.
    pub fn id(&self) -> String {
        let der = self.0.to_public_key_der().expect("a public key has a DER form");
        Digest::of(der.as_bytes()).to_string()
    }

    /// Whether these bytes were signed with the key. Keys and signatures that several messages could share are refused.
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8; SIGNATURE_LENGTH]) -> bool {
        self.0.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok()
    }
}
