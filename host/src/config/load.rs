//! Gathers the settings: defaults, then the file, then the environment, then flags; later ones win.
//!
//! It must not know what a setting means. Invariant: what it returns is validated, and a key that is not a setting is
//! an error that says where the key came from.

use std::{
    env, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format, Serialized, Toml},
    util::nest,
    value::{Dict, Map, Value},
};

use super::{Config, Limit};
use crate::near::{did_you_mean, nearest};

/// Variables begin with it; what follows is the key in capitals, its parts joined by `__`.
const PREFIX: &str = "WEIR_";

/// Variables of the same prefix that are for something else: the client, the logs, building and testing.
const NOT_SETTINGS: [&str; 12] = [
    "WEIR_TOKEN",
    "WEIR_TIME_ZONE",
    "WEIR_CA",
    "WEIR_CERTIFICATE",
    "WEIR_KEY",
    "WEIR_UPLOADS",
    "WEIR_SERVER",
    "WEIR_BIN",
    "WEIR_RTDS",
    "WEIR_LOG",
    "WEIR_SEED",
    "WEIR_OPERATOR_TABLE",
];

/// As [`NOT_SETTINGS`], for all variables that begin with it.
const NOT_SETTINGS_PREFIX: &str = "WEIR_GUEST_";

/// Texts of others are cut to this many characters before they are shown.
const SHOWN_CHARS_MAX: usize = 300;

/// What flags set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Folder of the store.
    pub data_dir: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Load no plugin, whatever the settings say.
    pub without_plugins: bool,
    /// Ask for tokens, whatever the settings say.
    pub authenticate: bool,
    /// Listen beyond this machine, whatever the settings say.
    pub insecure_listen: bool,
    /// Where figures are served.
    pub metrics_listen: Option<SocketAddr>,
    /// Serve no page, whatever the settings say.
    pub without_page: bool,
}

/// Why settings are not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or cannot be read.
    #[error("configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no TOML, or a key or its type is wrong.
    #[error("{0}")]
    Refused(String),
    /// A number is out of its bounds.
    #[error("{0}")]
    Bound(Limit),
    /// Another value is not allowed.
    #[error("{field}: {message}")]
    Value {
        /// The key in the file.
        field: String,
        /// The value and what is allowed.
        message: String,
    },
}

impl Config {
    /// Gathers the settings and validates them. Flags win over `WEIR_` variables, which win over `file`, which wins
    /// over the defaults.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        // A variable that is not valid text is shown to the check with replacement characters rather than left out.
        let variables = env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
        Self::load_with(file, variables, overrides)
    }

    /// As `load`, with the environment given.
    pub(super) fn load_with(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            figment = figment.merge(Named { name: path.display().to_string(), provider: Toml::string(&text) });
        }
        let variables = variables.into_iter().filter(|(name, _)| is_setting(name));
        for (name, value) in variables {
            figment = figment.merge(Variable { name, value });
        }

        let mut config: Self = figment.extract().map_err(|error| refused(&figment, error))?;
        let Overrides {
            data_dir,
            listen,
            without_plugins,
            authenticate,
            insecure_listen,
            metrics_listen,
            without_page,
        } = overrides;
        config.data_dir = data_dir.unwrap_or(config.data_dir);
        config.listen = listen.unwrap_or(config.listen);
        config.without_plugins |= without_plugins;
        config.authenticate |= authenticate;
        config.insecure_listen |= insecure_listen;
        config.metrics_listen = metrics_listen.or(config.metrics_listen);
        config.page &= !without_page;
        config.validate()?;
        Ok(config)
    }
}

/// What serde calls a whole number.
const WHOLE_NUMBERS: [&str; 9] = ["u8", "u16", "u32", "u64", "usize", "i32", "i64", "isize", "an integer"];

fn is_setting(variable: &str) -> bool {
    variable.starts_with(PREFIX) && !NOT_SETTINGS.contains(&variable) && !variable.starts_with(NOT_SETTINGS_PREFIX)
}

/// Says which key is wrong, how, and where it came from.
fn refused(figment: &Figment, error: figment::Error) -> ConfigError {
    // An error can carry a chain of them; the first is enough to go on.
    let Some(error) = error.into_iter().next() else {
        return ConfigError::Refused("the settings could not be read".to_owned());
    };
    let key = error.path.join(".");
    let message = match &error.kind {
        Kind::UnknownField(typed, known) => match nearest(typed, known.iter().copied()) {
            Some(near) => format!("there is no such setting{}", did_you_mean(Some(near))),
            None => format!("there is no such setting; known here: {}", known.join(", ")),
        },
        // Whoever sets it need not know how many bits it has here.
        Kind::InvalidType(found, expected) if WHOLE_NUMBERS.contains(&expected.as_str()) => {
            format!("found {found}, expected a whole number")
        }
        kind => kind.to_string(),
    };
    // The provider of an unknown key is not in the error: the key is never looked at. So it is looked up.
    let metadata = figment.find_metadata(&key).or(error.metadata.as_ref());
    let origin = metadata.map_or_else(|| "the defaults".to_owned(), |metadata| metadata.name.to_string());
    let colon = if key.is_empty() { "" } else { ": " };
    ConfigError::Refused(format!("{}{colon}{} (from {})", shown(&key), shown(&message), shown(&origin)))
}

/// A text as it may be shown: one line, bounded, without control characters. TOML's errors are drawn over several lines.
fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::domain::shown(&line, SHOWN_CHARS_MAX)
}

/// Another provider under a name of ours.
struct Named<P> {
    name: String,
    provider: P,
}

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.provider.data()
    }
}

/// One variable as a provider of its own, so that an error names the variable.
struct Variable {
    name: String,
    value: String,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let key = self.name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        // A name with an empty part is no key: the variable stands for itself, and is refused as any unknown key is.
        let key = if key.split('.').any(str::is_empty) { &self.name } else { &key };
        let Ok(value) = self.value.parse::<Value>();
        Ok(Profile::Default.collect(nest(key, value).into_dict().unwrap_or_default()))
    }
}
