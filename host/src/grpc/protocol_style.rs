//! The protocol as it is published: everything in it is explained, and named as the Protocol Buffers style guide has it.
//!
//! It must not know what a message means. It reads the same descriptors that reflection serves.

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use weir_proto::v1::FILE_DESCRIPTOR_SET;

/// Numbers of fields in descriptor.proto: a comment is found by the path of such numbers and indices.
const MESSAGE: i32 = 4;
const ENUM: i32 = 5;
const SERVICE: i32 = 6;
const MESSAGE_FIELD: i32 = 2;
const ENUM_VALUE: i32 = 2;
const SERVICE_METHOD: i32 = 2;

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let ours: Vec<_> = set.file.into_iter().filter(|file| file.package() == "weir.v1").collect();
    assert_eq!(ours.len(), 15);
    ours
}

/// The leading comments of a file by path.
fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = &file.source_code_info.as_ref().expect("the descriptors keep their comments").location;
    locations.iter().map(|location| (location.path.clone(), location.leading_comments().trim().to_owned())).collect()
}

/// Everything in a file that wants a comment: its path and its name.
fn items(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let numbered = |index: usize| i32::try_from(index).unwrap();
    let mut items = Vec::new();
    for (m, message) in file.message_type.iter().enumerate() {
        let path = vec![MESSAGE, numbered(m)];
        assert!(message.nested_type.is_empty() && message.enum_type.is_empty(), "{} nests", message.name());
        items.push((path.clone(), message.name().to_owned()));
        for (f, field) in message.field.iter().enumerate() {
            let path = [path.as_slice(), &[MESSAGE_FIELD, numbered(f)]].concat();
            items.push((path, format!("{}.{}", message.name(), field.name())));
        }
    }
    for (e, enumeration) in file.enum_type.iter().enumerate() {
        let path = vec![ENUM, numbered(e)];
        items.push((path.clone(), enumeration.name().to_owned()));
        for (v, value) in enumeration.value.iter().enumerate() {
            items.push(([path.as_slice(), &[ENUM_VALUE, numbered(v)]].concat(), value.name().to_owned()));
        }
    }
    for (s, service) in file.service.iter().enumerate() {
        let path = vec![SERVICE, numbered(s)];
        items.push((path.clone(), service.name().to_owned()));
        for (r, rpc) in service.method.iter().enumerate() {
            let path = [path.as_slice(), &[SERVICE_METHOD, numbered(r)]].concat();
            items.push((path, format!("{}.{}", service.name(), rpc.name())));
        }
    }
    items
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Whether a name is in words that begin with a capital.
fn is_pascal(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Whether a name is in lower-case words.
fn is_lower_snake(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Types that a file names, as `.weir.v1.Alert`.
fn named_types(file: &FileDescriptorProto) -> HashSet<&str> {
    let fields = file.message_type.iter().flat_map(|message| &message.field).map(|field| field.type_name());
    let rpcs = file.service.iter().flat_map(|service| &service.method);
    let of_rpcs = rpcs.flat_map(|rpc| [rpc.input_type(), rpc.output_type()]);
    fields.chain(of_rpcs).filter(|name| !name.is_empty()).collect()
}

/// What `buf lint` asks of a package by its rules STANDARD, beside what the tests below look at.
#[test]
fn files_and_names_are_where_generators_expect_them() {
    let files = files();
    for file in &files {
        let name = file.name();
        let stem = name.strip_prefix("weir/v1/").and_then(|name| name.strip_suffix(".proto"));
        assert!(stem.is_some_and(is_lower_snake), "{name}: a file of weir.v1 lies in weir/v1");
        assert_eq!(file.syntax(), "proto3", "{name}");
        assert_eq!(file.options, None, "{name}: all files have the same options, which are none");
        assert!(file.public_dependency.is_empty(), "{name}");
        let named = named_types(file);
        for import in &file.dependency {
            let imported = files.iter().find(|other| other.name() == import).expect("imports are of this package");
            let messages = imported.message_type.iter().map(|message| message.name());
            let mut defined = messages.chain(imported.enum_type.iter().map(|enumeration| enumeration.name()));
            assert!(
                defined.any(|name| named.contains(format!(".weir.v1.{name}").as_str())),
                "{name}: {import} is unused"
            );
        }
        for message in &file.message_type {
            assert!(is_pascal(message.name()), "{}", message.name());
            // One of an optional field is the compiler's own, and begins with an underscore.
            let chosen = message.oneof_decl.iter().map(|one| one.name()).filter(|name| !name.starts_with('_'));
            chosen.for_each(|name| assert!(is_lower_snake(name), "{}.{name}", message.name()));
        }
        for enumeration in &file.enum_type {
            assert!(is_pascal(enumeration.name()), "{}", enumeration.name());
            assert_eq!(enumeration.options, None, "{}: two names for one number confuse", enumeration.name());
            for value in &enumeration.value {
                assert!(is_lower_snake(&value.name().to_ascii_lowercase()), "{}", value.name());
                assert_eq!(value.name(), value.name().to_ascii_uppercase());
            }
        }
        for service in &file.service {
            assert!(is_pascal(service.name()) && service.name().ends_with("Service"), "{}", service.name());
            service.method.iter().for_each(|rpc| assert!(is_pascal(rpc.name()), "{}", rpc.name()));
        }
    }
}

#[test]
fn everything_has_a_comment_that_is_a_sentence() {
    for file in files() {
        let comments = comments(&file);
        for (path, name) in items(&file) {
            let comment = comments.get(&path).map_or("", String::as_str);
            assert!(!comment.is_empty(), "{} in {} has no comment", name, file.name());
            assert!(comment.ends_with(['.', ':']), "{} in {}: {comment:?}", name, file.name());
        }
    }
}

#[test]
fn enum_values_carry_the_name_of_their_enum_and_begin_with_unspecified() {
    let files = files();
    let enums: Vec<&EnumDescriptorProto> = files.iter().flat_map(|file| &file.enum_type).collect();
    assert!(!enums.is_empty());
    for enumeration in enums {
        let prefix = format!("{}_", snake(enumeration.name()).to_ascii_uppercase());
        let zero = &enumeration.value[0];
        assert_eq!((zero.number(), zero.name()), (0, format!("{prefix}UNSPECIFIED").as_str()));
        for value in &enumeration.value {
            assert!(value.name().starts_with(&prefix), "{} in {}", value.name(), enumeration.name());
        }
    }
}

#[test]
fn every_rpc_has_a_request_and_a_response_of_its_own() {
    let mut seen = HashSet::new();
    for rpc in files().iter().flat_map(|file| &file.service).flat_map(|service| &service.method) {
        assert_eq!(rpc.input_type(), format!(".weir.v1.{}Request", rpc.name()));
        assert_eq!(rpc.output_type(), format!(".weir.v1.{}Response", rpc.name()));
        assert!(seen.insert(rpc.name().to_owned()), "{} is there twice", rpc.name());
    }
    assert!(!seen.is_empty());
}

#[test]
fn fields_are_in_snake_case_and_numbered_without_gaps() {
    let files = files();
    let messages: Vec<&DescriptorProto> = files.iter().flat_map(|file| &file.message_type).collect();
    for message in messages {
        let mut numbers: Vec<i32> = message.field.iter().map(|field| field.number()).collect();
        numbers.sort_unstable();
        let gapless: Vec<i32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, gapless, "{}: a number that was given up wants a reserved entry", message.name());
        for field in &message.field {
            assert_eq!(field.name(), snake(field.name()), "{}", message.name());
        }
    }
}
