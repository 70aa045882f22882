use super::*;
use crate::intake::duis_xml::DOCUMENT_BYTES_MAX;

type Found = Result<(u64, String), String>;

fn read(text: &str) -> Vec<Found> {
    read_all(text.as_bytes()).0
}

fn read_all(bytes: &[u8]) -> (Vec<Found>, Option<String>) {
    let mut documents = Documents::new(io::BufReader::with_capacity(7, bytes), DOCUMENT_BYTES_MAX, None);
    let next = std::iter::from_fn(|| documents.next());
    let found = next
        .map(|item| {
            item.map(|document| (document.line, String::from_utf8(document.bytes).unwrap()))
                .map_err(|error| error.to_string())
        })
        .collect();
    (found, documents.passed_over().map(|error| error.to_string()))
}

fn document(line: u64, text: &str) -> Found {
    Ok((line, text.to_owned()))
}

#[test]
fn documents_are_told_apart_whatever_stands_around_them() {
    let (found, passed_over) = read_all(
        "\u{FEFF}\n<?xml version=\"1.0\"?>\n<sr:Response><a/></sr:Response>\n\n<Response>\n</Response >x".as_bytes(),
    );
    assert_eq!(found, [document(2, "<sr:Response><a/></sr:Response>"), document(5, "<Response>\n</Response >")]);
    assert_eq!(passed_over.unwrap(), "line 6: document: \"x\" is in no document; passed over, as all such text is");
    assert!(read("").is_empty() && read(" \n\n").is_empty());

    let two = [document(2, "<s:Response a='>'>1</s:Response>"), document(3, "<GBCSResponse/>")];
    for (before, between, after) in [
        ("<Responses exported='2026'>\n", "\n", "\n</Responses>\n"),
        ("<e:Envelope><e:Header/><e:Body>\n", "</e:Body></e:Envelope>\n", ""),
        ("<Response>\n", "\n", "</Response>"),
        ("<!-- <Response>it's</Response> -->\n", "<!-- > -->\n", "<?pi <Response> ?>"),
        ("<raw><![CDATA[<?xml version='1.0'?>\n", "]]></raw><raw><![CDATA[\n", "]]></raw>"),
        ("<!DOCTYPE a [<!ENTITY b '<Response>'>]>\n", "\n", ""),
    ] {
        let text = format!("{before}<s:Response a='>'>1</s:Response>{between}<GBCSResponse/>{after}");
        let (found, passed_over) = read_all(text.as_bytes());
        let texts = |found: &[Found]| found.iter().map(|item| item.clone().unwrap().1).collect::<Vec<_>>();
        assert_eq!((texts(&found), passed_over), (texts(&two), None), "{text}");
        // A document begins with its XML declaration, where it has one.
        assert_eq!(found.last(), two.last(), "{text}");
        assert!(found[0] == two[0] || before.ends_with("<?xml version='1.0'?>\n"), "{text}");
    }
}

#[test]
fn what_looks_like_markup_within_a_document_is_not_taken_for_it() {
    for within in
        ["<!-- </Response> <?xml ?> -->", "<![CDATA[</Response><Response>]]>", "<a b=\"</Response\">", "<?p > ?>"]
    {
        let text = format!("<Response><Header/>{within}</Response>");
        assert_eq!(read(&format!("{text}<Response/>")).len(), 2, "{within}");
    }
}

#[test]
fn an_input_without_a_document_says_what_it_is() {
    let one = |text: &str| {
        let mut found = read(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found.remove(0).unwrap_err()
    };
    let what = "no document is in it (a Response, GBCSResponse or SMETS1SignedResponse): it begins with ";
    assert_eq!(one("\n<NoResponse></NoResponse>"), format!("line 2: document: {what}the element \"NoResponse\""));
    assert_eq!(one("device,code\n1,8F40\n"), format!("line 1: document: {what}\"device,code\\n1,8F40\""));
    assert!(one("&lt;sr:Response&gt;").ends_with("; documents that are escaped as text are not read"));
    assert!(one("<!-- <Other>").starts_with("line 1: document: the input ends within a comment that begins on line 1"));
    // The opening tag was damaged: what is left of a document is not passed over in silence.
    let damaged = "<sr:Resp nse><Header/><DeviceAlertMessage><a/></DeviceAlertMessage></sr:Response>\n<Response/>";
    let found = read(damaged);
    assert!(
        found[0].as_ref().unwrap_err().starts_with("line 1: document: \"DeviceAlertMessage\" is in none: its opening")
    );
    assert_eq!(found[1..], [document(2, "<Response/>")]);
}

#[test]
fn one_that_is_too_long_is_named_and_the_rest_goes_on() {
    let text = format!("\n<Response>{}\n</Response>\n<Response></Response>", "<a>".repeat(100_000));
    let found = read(&text);
    assert_eq!(
        found,
        [
            Err(format!(
                "line 2: document: longer than {DOCUMENT_BYTES_MAX} bytes; --document-bytes-max N reads longer ones, up to \
                 {DOCUMENT_BYTES_LIMIT}"
            )),
            document(4, "<Response></Response>")
        ]
    );
    for long in ["a", "<a b='", "<!-- "] {
        let long = format!("<Response>{}</Response>\n<Response></Response>", long.repeat(DOCUMENT_BYTES_MAX));
        let found = read(&long);
        assert!(found[0].is_err() && found[1..] == [document(2, "<Response></Response>")], "{:?}", &found[1..]);
    }
}

#[test]
fn one_that_is_cut_short_ends_where_the_next_one_begins() {
    let text = "<?xml version='1.0'?>\n<Response><Body><a>\n<?xml version='1.0'?>\n<Response/><Response></Response>";
    let found = read(text);
    let expected =
        [document(1, "<Response><Body><a>\n"), document(3, "<Response/>"), document(4, "<Response></Response>")];
    assert_eq!(found, expected);
    assert_eq!(
        read("<Response><Header/><a>\n<s:Response><Body/></s:Response>"),
        [document(1, "<Response><Header/><a>\n"), document(2, "<s:Response><Body/></s:Response>")]
    );
    for open in ["<a", "<!-- it's", "<![CDATA[ ", "<? ", "<a b='"] {
        let found = read(&format!("<Response><Body>{open}\n\n<Response>\n</Response>\n<Response/>"));
        assert!(!found.is_empty(), "{open}");
        assert_eq!(
            found[found.len() - 2..],
            [document(3, "<Response>\n</Response>"), document(5, "<Response/>")],
            "{open}"
        );
        assert_eq!(found.len(), 3, "{open}: {found:?}");
    }
}

/// Gigabytes of one kind, or so it says.
struct Endless(&'static [u8], usize);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.1);
        buffer[..count].iter_mut().zip(self.0.iter().cycle()).for_each(|(to, from)| *to = *from);
        self.1 -= count;
        Ok(count)
    }
}

#[test]
fn whatever_goes_on_and_on_little_of_it_is_held() {
    const BYTES: usize = 16 << 20;
    let kinds: [&[u8]; 10] = [b"a", b" ", b"\n", b"<", b"<a b='", b"<a>", b"<!--", b"<![CDATA[", b"<?xml ", b">"];
    for begin in ["", "<Response>"] {
        for kind in kinds {
            let after = b"?>]]>-->' ></Response>\n<Response></Response>";
            let input = begin.as_bytes().chain(Endless(kind, BYTES)).chain(&after[..]);
            let mut documents = Documents::new(io::BufReader::new(input), DOCUMENT_BYTES_MAX, None);
            let mut last = Vec::new();
            while let Some(next) = documents.next() {
                if let Ok(document) = next {
                    assert!(document.bytes.len() <= DOCUMENT_BYTES_MAX);
                    last = document.bytes;
                }
                assert!(documents.held.capacity() <= 4 * DOCUMENT_BYTES_MAX, "{kind:?}: {}", documents.held.capacity());
                assert!(documents.again.get_ref().len() <= 2 * DOCUMENT_BYTES_MAX, "{kind:?}");
            }
            assert_eq!(last, b"<Response></Response>", "{begin} {:?}", String::from_utf8_lossy(kind));
        }
    }
}
