//! Which contract a component implements, and whether it does so function by function.

use std::fmt::{self, Write};

use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};

use super::engine::Component;
use super::load_error::LoadError;
use super::words::List;

/// The contract that a component implements, by the interface it exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum World {
    /// An organisation's policy: `runner:policy/review`.
    Policy {
        /// Version of the interface.
        version: String,
    },
    /// A core policy: `runner:policy/rules`.
    Core {
        /// Version of the interface.
        version: String,
    },
    /// Neither.
    Other {
        /// Names of what it exports.
        exports: Vec<String>,
    },
}

/// An interface as this host calls it. Types are written out in full, as the engine sees them: names of records and
/// enumerations do not count, names of fields and cases do.
pub(super) struct Interface {
    /// The world that exports it.
    pub(super) world: &'static str,
    /// Its name without version.
    pub(super) name: &'static str,
    /// The version of this host.
    pub(super) version: &'static str,
    /// Functions and their types.
    pub(super) functions: &'static [(&'static str, &'static str)],
}

impl Interface {
    /// Name with version.
    pub(super) fn full_name(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Refuses a component that is not of this world, asks for something, or has other functions.
    pub(super) fn check(&self, component: &Component) -> Result<(), LoadError> {
        let file = component.file().to_owned();
        let Some(instance) = self.exported(component) else { return Err(self.other_world(component)) };
        let imports = component.imports();
        if !imports.is_empty() {
            return Err(LoadError::Imports { file, imports });
        }
        for &(function, expected) in self.functions {
            let engine = component.code().engine();
            let found = match instance.get_export(engine, function).map(|export| export.ty) {
                Some(ComponentItem::ComponentFunc(found)) => function_type(&found),
                Some(_) => "not a function".to_owned(),
                None => return Err(LoadError::Function { file, function, expected }),
            };
            if found != expected {
                return Err(LoadError::Signature { file, function, expected, found });
            }
        }
        Ok(())
    }

    /// The interface in the component, in a version that the engine takes for compatible.
    fn exported(&self, component: &Component) -> Option<ComponentInstance> {
        match component.code().get_export(None, self.full_name().as_str())?.0 {
            ComponentItem::ComponentInstance(instance) => Some(instance),
            _ => None,
        }
    }

    fn other_world(&self, component: &Component) -> LoadError {
        let file = component.file().to_owned();
        let exports = component.exports();
        if let Some(found) = exports.iter().find(|export| split_version(export).0 == self.name) {
            return LoadError::Version { file, expected: self.full_name(), found: found.clone() };
        }
        let found = match component.world() {
            World::Policy { version } => format!("world `policy` (`{POLICY_INTERFACE}@{version}`)"),
            World::Core { version } => format!("world `core` (`{CORE_INTERFACE}@{version}`)"),
            World::Other { exports } if exports.is_empty() => "no exports".to_owned(),
            World::Other { exports } => List(&exports).to_string(),
        };
        LoadError::World { file, expected: self.world, interface: self.full_name(), found }
    }
}

/// The interface of the world `policy`.
pub(super) const POLICY_INTERFACE: &str = "runner:policy/review";
/// The interface of the world `core`.
pub(super) const CORE_INTERFACE: &str = "runner:policy/rules";

/// The world of a component, by the names of its exports.
pub(super) fn of_exports(exports: Vec<String>) -> World {
    for export in &exports {
        match split_version(export) {
            (POLICY_INTERFACE, version) => return World::Policy { version: version.to_owned() },
            (CORE_INTERFACE, version) => return World::Core { version: version.to_owned() },
            _ => {}
        }
    }
    World::Other { exports }
}

fn split_version(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

/// The type of a function as WIT writes it, with all types written out.
fn function_type(function: &ComponentFunc) -> String {
    let mut text = Bounded(String::new());
    // The only error is that the bound is reached; then the text ends there and is equal to no expected one.
    let _ = write_function(&mut text, function);
    text.0
}

/// Longer than any type of ours. Types can be built so that written out they fill the memory.
const MAX_TYPE_BYTES: usize = 1_000;

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_TYPE_BYTES {
            self.0.push('…');
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn write_function(text: &mut Bounded, function: &ComponentFunc) -> fmt::Result {
    text.write_str(if function.async_() { "async func(" } else { "func(" })?;
    for (index, (name, parameter)) in function.params().enumerate() {
        separate(text, index)?;
        write!(text, "{name}: ")?;
        write_type(text, &parameter)?;
    }
    text.write_str(")")?;
    for result in function.results() {
        text.write_str(" -> ")?;
        write_type(text, &result)?;
    }
    Ok(())
}

fn write_type(text: &mut Bounded, found: &Type) -> fmt::Result {
    match found {
        Type::Bool => text.write_str("bool"),
        Type::S8 => text.write_str("s8"),
        Type::U8 => text.write_str("u8"),
        Type::S16 => text.write_str("s16"),
        Type::U16 => text.write_str("u16"),
        Type::S32 => text.write_str("s32"),
        Type::U32 => text.write_str("u32"),
        Type::S64 => text.write_str("s64"),
        Type::U64 => text.write_str("u64"),
        Type::Float32 => text.write_str("f32"),
        Type::Float64 => text.write_str("f64"),
        Type::Char => text.write_str("char"),
        Type::String => text.write_str("string"),
        Type::List(list) => write_generic(text, "list", &[Some(list.ty())]),
        Type::Option(option) => write_generic(text, "option", &[Some(option.ty())]),
        Type::Result(result) => write_generic(text, "result", &[result.ok(), result.err()]),
        Type::Tuple(tuple) => write_generic(text, "tuple", &tuple.types().map(Some).collect::<Vec<_>>()),
        Type::Record(record) => {
            text.write_str("record { ")?;
            for (index, field) in record.fields().enumerate() {
                separate(text, index)?;
                write!(text, "{}: ", field.name)?;
                write_type(text, &field.ty)?;
            }
            text.write_str(" }")
        }
        Type::Variant(variant) => {
            text.write_str("variant { ")?;
            for (index, case) in variant.cases().enumerate() {
                separate(text, index)?;
                text.write_str(case.name)?;
                if let Some(payload) = &case.ty {
                    text.write_str("(")?;
                    write_type(text, payload)?;
                    text.write_str(")")?;
                }
            }
            text.write_str(" }")
        }
        Type::Enum(cases) => write_names(text, "enum", cases.names()),
        Type::Flags(flags) => write_names(text, "flags", flags.names()),
        Type::Own(_) | Type::Borrow(_) => text.write_str("resource"),
        // Streams, maps and whatever comes later: no interface of ours has them.
        _ => text.write_str("another type"),
    }
}

fn write_generic(text: &mut Bounded, name: &str, arguments: &[Option<Type>]) -> fmt::Result {
    write!(text, "{name}<")?;
    for (index, argument) in arguments.iter().enumerate() {
        separate(text, index)?;
        match argument {
            Some(argument) => write_type(text, argument)?,
            None => text.write_str("_")?,
        }
    }
    text.write_str(">")
}

fn write_names<'a>(text: &mut Bounded, kind: &str, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    write!(text, "{kind} {{ ")?;
    for (index, name) in names.enumerate() {
        separate(text, index)?;
        text.write_str(name)?;
    }
    text.write_str(" }")
}

fn separate(text: &mut Bounded, index: usize) -> fmt::Result {
    if index > 0 { text.write_str(", ") } else { Ok(()) }
}
