//! What is read is what was written, and nothing else ever is.

use super::*;

const CODE: &[u8] = b"machine code";

fn open(folder: &Path) -> Artefacts {
    Artefacts::open(folder, 1000).unwrap()
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("compiled");
    assert_eq!(open(&folder).read("a"), None);
    open(&folder).write("a", CODE).unwrap();
    open(&folder).write("a", CODE).expect("again changes nothing");
    assert_eq!(open(&folder).read("a").as_deref(), Some(CODE));
}

#[test]
fn what_was_changed_anywhere_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let artefacts = open(folder.path());
    artefacts.write("a", CODE).unwrap();
    let path = folder.path().join("a");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        assert_eq!(artefacts.read("a"), None, "byte {at}");
    }
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(artefacts.read("a"), None, "cut at {end}");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(artefacts.read("a"), None, "longer");
    fs::write(&path, &whole).unwrap();
    assert_eq!(artefacts.read("a").as_deref(), Some(CODE));
}

#[test]
fn what_belongs_to_another_is_not_there() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    open(ours.path()).write("a", CODE).unwrap();
    fs::copy(ours.path().join("a"), ours.path().join("b")).unwrap();
    assert_eq!(open(ours.path()).read("b"), None, "another component's");
    open(theirs.path()).write("a", CODE).unwrap();
    fs::copy(theirs.path().join("a"), ours.path().join("a")).unwrap();
    assert_eq!(open(ours.path()).read("a"), None, "another host's");
}

#[test]
fn the_key_is_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).write("a", CODE).unwrap();
    for name in [KEY_FILE, "a"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE, "{name}");
    }
    fs::set_permissions(folder.path().join(KEY_FILE), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(open(folder.path()).read("a"), None, "a key that others could read is worth nothing");
    fs::write(folder.path().join(KEY_FILE), b"short").unwrap();
    open(folder.path()).write("a", CODE).unwrap();
    assert_eq!(open(folder.path()).read("a").as_deref(), Some(CODE), "a broken key is replaced");
}

#[test]
fn what_nobody_asks_for_is_swept_away() {
    let folder = tempfile::tempdir().unwrap();
    let artefacts = open(folder.path());
    let engine = Engine::default();
    let (component, another) = (Digest([1; 32]), Digest([2; 32]));
    let name = artefacts.name(&engine, &component);
    assert_eq!(artefacts.name(&engine, &component), name);
    assert_ne!(artefacts.name(&engine, &another), name);
    let mut other = wasmtime::Config::new();
    other.consume_fuel(true);
    assert_ne!(artefacts.name(&Engine::new(&other).unwrap(), &component), name, "another configuration");

    ["old", name.as_str(), "read"].iter().for_each(|name| artefacts.write(name, CODE).unwrap());
    let artefacts = open(folder.path());
    artefacts.write(&name, CODE).unwrap();
    // The next start reads one of them and makes a third.
    let artefacts = open(folder.path());
    assert!(artefacts.read(&name).is_some());
    artefacts.write("new", CODE).unwrap();
    artefacts.sweep();
    assert_eq!(artefacts.read("new").as_deref(), Some(CODE));
    assert_eq!(artefacts.read("old"), None);
    assert_eq!(artefacts.read(&name).as_deref(), Some(CODE));
    assert_eq!(open(folder.path()).read(&name).as_deref(), Some(CODE), "the key stays");
}
