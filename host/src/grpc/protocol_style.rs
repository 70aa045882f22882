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
    assert_eq!(ours.len(), 11);
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
