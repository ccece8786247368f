//! Variables of the container: `env` and `env_from`.

use crate::field::{mapping, text};
use crate::syntax::Syntax;

mapping! {
    /// One variable. Exactly one of `value` and `value_from`; with neither it is empty.
    pub struct EnvVar {
        /// Name of the variable.
        name: Option<String> = text().not_blank().syntax(Syntax::EnvName).expected(Syntax::UsualEnvName), required;
        /// Its value. `$(NAME)` is expanded by the kubelet.
        value: Option<String> = text();
        /// Where its value comes from.
        value_from: Option<ValueFrom> = ValueFrom::KIND;
    }
}

mapping! {
    /// Where the value of a variable comes from: exactly one source.
    pub struct ValueFrom [exactly one of "secret_key_ref", "config_map_key_ref", "field_ref"] {
        /// A key of a Secret.
        secret_key_ref: Option<KeyRef> = KeyRef::KIND, keep_empty;
        /// A key of a ConfigMap.
        config_map_key_ref: Option<KeyRef> = KeyRef::KIND, keep_empty;
        /// A field of the pod.
        field_ref: Option<FieldRef> = FieldRef::KIND, keep_empty;
    }
}

mapping! {
    /// A key of a Secret or ConfigMap.
    pub struct KeyRef {
        /// Name of the Secret or ConfigMap.
        name: Option<String> = text().not_blank().expected(Syntax::DnsSubdomain), required;
        /// Key inside it.
        key: Option<String> = text().not_blank().syntax(Syntax::ConfigKey), required;
    }
}

mapping! {
    /// A field of the pod, as in the downward API.
    pub struct FieldRef {
        /// Path of the field, as `metadata.name`.
        field_path: Option<String> = text().not_blank().syntax(Syntax::FieldPath), required;
    }
}

mapping! {
    /// A ConfigMap or Secret whose keys become variables: exactly one of the two.
    pub struct EnvFrom [exactly one of "config_map_ref", "secret_ref"] {
        /// The ConfigMap.
        config_map_ref: Option<NameRef> = NameRef::KIND, keep_empty;
        /// The Secret.
        secret_ref: Option<NameRef> = NameRef::KIND, keep_empty;
        /// Put before each key; may be empty.
        prefix: Option<String> = text().syntax(Syntax::EnvPrefix).expected(Syntax::UsualEnvPrefix);
    }
}

mapping! {
    /// The name of a ConfigMap or Secret.
    pub struct NameRef {
        /// Its name.
        name: Option<String> = text().not_blank().expected(Syntax::DnsSubdomain), required;
    }
}
