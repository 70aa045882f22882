//! The columns of an export, and files of them; the only place that writes with parquet.
//!
//! It must not know where rows come from or what a file is called. Invariants: [`COLUMNS`] says what a file's columns
//! are, in order, and docs/export.md says the same; a file is whole once it was finished, and not before.

use std::{borrow::Cow, fs::File, sync::Arc};

use parquet::{
    basic::{Compression, Encoding},
    data_type::{BoolType, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{WriterProperties, WriterPropertiesPtr},
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::{
        parser::parse_message_type,
        types::{ColumnPath, TypePtr},
    },
};

use crate::{
    cli::view::{alert::message_digest_text, eui},
    domain::{LABEL_HEADING, LabelKey, Mpxn},
};

mod rows;

use rows::TextId;
pub(super) use rows::{LABELS_MAX, Row, Texts};

/// Bytes of different values that a column keeps to refer to, in each group of rows.
const DICTIONARY_BYTES_MAX: usize = 4 << 20;

/// A column.
pub(super) struct Column {
    /// Its name.
    pub(super) name: Cow<'static, str>,
    /// What it says.
    pub(super) meaning: Cow<'static, str>,
    cells: Cells,
}

/// What is in the cells of a column. Where an option is none, there is nothing in the cell.
enum Cells {
    Flag(fn(&Row) -> bool),
    Number(fn(&Row) -> i32),
    SignedOrNone(fn(&Row) -> Option<i32>),
    Count(fn(&Row) -> u32),
    CountOrNone(fn(&Row) -> Option<u32>),
    Position(fn(&Row) -> i64),
    CounterOrNone(fn(&Row) -> Option<u64>),
    Time(fn(&Row) -> i64),
    TimeOrNone(fn(&Row) -> Option<i64>),
    Text(fn(&Row) -> TextId),
    TextOrNone(fn(&Row) -> TextId),
    /// Of its own for each row.
    Written(fn(&Row) -> String),
    WrittenOrNone(fn(&Row) -> Option<String>),
    /// A label of the device, by its place among those that are written.
    Label(usize),
}

const fn column(name: &'static str, cells: Cells, meaning: &'static str) -> Column {
    Column { name: Cow::Borrowed(name), meaning: Cow::Borrowed(meaning), cells }
}

/// The columns of every export. The names are those of `weir alert list --json`; what is a time there as a number of
/// milliseconds is a time here.
pub(super) static COLUMNS: [Column; 41] = [
    column("position", Cells::Position(|row| row.position), "place in the log; no two alerts have the same"),
    column("device_id", Cells::Written(|row| eui(row.device_id).unwrap_or_default()), "EUI-64 of the device"),
    column(
        "mpxn",
        Cells::WrittenOrNone(|row| point(row.mpxn)),
        "import MPAN or MPRN, as the inventory has it when the export is made",
    ),
    column("operator", Cells::Number(|row| row.operator), "distributor id on arrival, 0 for not known"),
    column("generation", Cells::Text(|row| row.generation), "`smets1`, `smets2` or `unknown`, on arrival"),
    column("model", Cells::TextOrNone(|row| row.model), "device model combination on arrival"),
    column("code", Cells::Text(|row| row.code), "alert code, four hex digits like `8F40`"),
    column(
        "received_at",
        Cells::Time(|row| row.received_at_ms),
        "when the alert was received; its day is the folder's",
    ),
    column("occurred_at", Cells::Time(|row| row.occurred_at_ms), "when the device says it happened"),
    column(
        "measurement",
        Cells::SignedOrNone(|row| row.measurement),
        "in the code's unit: tenths of a volt, thousandths",
    ),
    column("weight", Cells::Count(|row| row.weight), "alerts that it stands for as it was sent, itself among them"),
    column("originator_counter", Cells::CounterOrNone(|row| row.originator_counter), "counter of the GBCS message"),
    column("recipient_id", Cells::WrittenOrNone(|row| eui(row.recipient_id)), "EUI-64 of the party it is addressed to"),
    column("payload_kind", Cells::Text(|row| row.payload_kind), "how the payload was encoded"),
    column("outcome", Cells::Text(|row| row.outcome), "`forwarded` or `suppressed`; `duplicate` if asked for"),
    column("rule", Cells::TextOrNone(|row| row.mark.rule), "rule that suppressed it, or was overruled"),
    column("revision", Cells::CountOrNone(|row| row.revision), "revision of that rule"),
    column("plugin_digest", Cells::TextOrNone(|row| row.mark.plugin_digest), "SHA-256 of its plugin"),
    column("plugin_name", Cells::TextOrNone(|row| row.mark.plugin_name), "name of its plugin"),
    column("parameters", Cells::TextOrNone(|row| row.mark.parameters), "its parameters, JSON"),
    column("reason", Cells::TextOrNone(|row| row.mark.reason), "the plugin's reason"),
    column("overruled", Cells::Flag(|row| row.overruled), "the code is protected, so the rule was overruled"),
    column("withheld", Cells::Count(|row| row.withheld), "suppressed alerts that this forwarded one stands for"),
    column("faults", Cells::TextOrNone(|row| row.faults), "rules that failed on it, JSON"),
    column("dcc_at", Cells::TimeOrNone(|row| row.dcc_at_ms), "when the DCC passed it on, by the DCC's clock"),
    column(
        "remarks",
        Cells::TextOrNone(|row| row.remarks),
        "what was remarkable when it was taken, with commas between",
    ),
    column(
        "sender_id",
        Cells::WrittenOrNone(|row| eui(row.sender_id)),
        "EUI-64 of the party that counted it, where not the device, or the DCC for its own codes",
    ),
    column(
        "instruction_number",
        Cells::CountOrNone(|row| row.instruction_number),
        "which instruction of a command it is about",
    ),
    column(
        "message_digest",
        Cells::WrittenOrNone(|row| message_digest_text(row.message_digest)),
        "first 64 bits of the SHA-256 of the GBCS message or, without a counter, of the whole document",
    ),
    column(
        "occurred_at_status",
        Cells::Text(|row| row.occurred_at_status),
        "`stated`, `not-stated` or `left-out` (then `occurred_at` is that of receipt), or `unreliable`",
    ),
    column(
        "dcc_at_status",
        Cells::TextOrNone(|row| row.dcc_at_status),
        "`left-out` where the source states a time of the DCC that could not be read",
    ),
    column("stated_generation", Cells::TextOrNone(|row| row.stated_generation), "generation that the source states"),
    column("stated_mpxn", Cells::WrittenOrNone(|row| point(row.details.mpxn)), "MPAN or MPRN that the source states"),
    column(
        "throttle_sequence",
        Cells::CountOrNone(|row| row.details.throttle_sequence),
        "number of the alert in the DCC's throttled sequence",
    ),
    column(
        "instruction_count",
        Cells::CountOrNone(|row| row.details.instruction_count),
        "how many instructions the command has that the alert is about",
    ),
    column("interrupted_at", Cells::TimeOrNone(|row| row.details.interrupted_at_ms), "when the supply went"),
    column("restored_at", Cells::TimeOrNone(|row| row.details.restored_at_ms), "when the supply came back"),
    column(
        "inner_code",
        Cells::TextOrNone(|row| row.details.inner_code),
        "code of the device's own that an alert of the DCC passes on",
    ),
    column("stated_note", Cells::TextOrNone(|row| row.details.note), "what the source says in words"),
    column(
        "secondary_mpan",
        Cells::WrittenOrNone(|row| point(row.secondary_mpan)),
        "MPAN of the second import element, as `mpxn`",
    ),
    column("export_mpan", Cells::WrittenOrNone(|row| point(row.export_mpan)), "MPAN of generation, as `mpxn`"),
];

fn point(mpxn: Mpxn) -> Option<String> {
    (mpxn != Mpxn::NONE).then(|| mpxn.to_string())
}

impl Column {
    /// The column of a label, by its place among those that are written.
    fn label(at: usize, key: &LabelKey) -> Self {
        let meaning = format!("label `{key}` of the device, as the inventory has it when the export is made");
        Self { name: format!("{LABEL_HEADING}{key}").into(), meaning: meaning.into(), cells: Cells::Label(at) }
    }

    /// Its type, as DuckDB calls it, and whether cells may be empty.
    pub(super) fn kind(&self) -> (&'static str, bool) {
        match self.cells {
            Cells::Flag(_) => ("BOOLEAN", false),
            Cells::Number(_) => ("INTEGER", false),
            Cells::SignedOrNone(_) => ("INTEGER", true),
            Cells::Count(_) => ("UINTEGER", false),
            Cells::CountOrNone(_) => ("UINTEGER", true),
            Cells::Position(_) => ("BIGINT", false),
            Cells::CounterOrNone(_) => ("UBIGINT", true),
            Cells::Time(_) => ("TIMESTAMP WITH TIME ZONE", false),
            Cells::TimeOrNone(_) => ("TIMESTAMP WITH TIME ZONE", true),
            Cells::Text(_) | Cells::Written(_) => ("VARCHAR", false),
            Cells::TextOrNone(_) | Cells::WrittenOrNone(_) | Cells::Label(_) => ("VARCHAR", true),
        }
    }

    /// What a file says of it.
    fn explained(&self) -> KeyValue {
        KeyValue::new(format!("column.{}", self.name), self.meaning.clone().into_owned())
    }

    /// Its line in a schema.
    fn declared(&self) -> String {
        let (kind, optional) = self.kind();
        let (physical, logical) = match kind {
            "BOOLEAN" => ("boolean", ""),
            "INTEGER" => ("int32", ""),
            "UINTEGER" => ("int32", " (INTEGER(32,false))"),
            "BIGINT" => ("int64", ""),
            "UBIGINT" => ("int64", " (INTEGER(64,false))"),
            "VARCHAR" => ("binary", " (STRING)"),
            _ => ("int64", " (TIMESTAMP(MILLIS,true))"),
        };
        let presence = if optional { "optional" } else { "required" };
        format!("{presence} {physical} {}{logical};", self.name)
    }

    fn write(&self, out: &mut SerializedColumnWriter<'_>, rows: &[Row], texts: &Texts) -> Result<(), ParquetError> {
        match self.cells {
            Cells::Flag(of) => every::<BoolType>(out, rows.iter().map(of)),
            Cells::Number(of) => every::<Int32Type>(out, rows.iter().map(of)),
            Cells::SignedOrNone(of) => some::<Int32Type>(out, rows.iter().map(of)),
            Cells::Count(of) => every::<Int32Type>(out, rows.iter().map(|row| of(row).cast_signed())),
            Cells::CountOrNone(of) => some::<Int32Type>(out, rows.iter().map(|row| of(row).map(u32::cast_signed))),
            Cells::Position(of) | Cells::Time(of) => every::<Int64Type>(out, rows.iter().map(of)),
            Cells::TimeOrNone(of) => some::<Int64Type>(out, rows.iter().map(of)),
            Cells::CounterOrNone(of) => some::<Int64Type>(out, rows.iter().map(|row| of(row).map(u64::cast_signed))),
            Cells::Text(of) => {
                every::<ByteArrayType>(out, rows.iter().map(|row| texts.text(of(row)).unwrap_or_default()))
            }
            Cells::TextOrNone(of) => some::<ByteArrayType>(out, rows.iter().map(|row| texts.text(of(row)))),
            Cells::Label(at) => {
                some::<ByteArrayType>(out, rows.iter().map(|row| texts.text(row.labels.get(at).copied().unwrap_or(0))))
            }
            Cells::Written(of) => every::<ByteArrayType>(out, rows.iter().map(|row| of(row).into_bytes().into())),
            Cells::WrittenOrNone(of) => {
                some::<ByteArrayType>(out, rows.iter().map(|row| of(row).map(|text| text.into_bytes().into())))
            }
        }
    }
}

/// Cells none of which is empty.
fn every<T: DataType>(
    out: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = T::T>,
) -> Result<(), ParquetError> {
    let cells: Vec<T::T> = cells.collect();
    out.typed::<T>().write_batch(&cells, None, None).map(drop)
}

/// Cells some of which may be empty.
fn some<T: DataType>(
    out: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let mut levels = Vec::new();
    let present: Vec<T::T> = cells.inspect(|cell| levels.push(i16::from(cell.is_some()))).flatten().collect();
    out.typed::<T>().write_batch(&present, Some(&levels), None).map(drop)
}

/// How files are written: one for all of an export.
#[derive(Clone)]
pub(super) struct Format {
    schema: TypePtr,
    properties: WriterPropertiesPtr,
    /// Columns after those of every export.
    labels: Arc<[Column]>,
}

impl Format {
    /// Snappy, which every reader has, and dictionaries where values come again.
    pub(super) fn new(labels: &[LabelKey]) -> Result<Self, ParquetError> {
        let labels: Arc<[Column]> = labels.iter().enumerate().map(|(at, key)| Column::label(at, key)).collect();
        let columns = || COLUMNS.iter().chain(labels.iter());
        let lines: Vec<String> = columns().map(Column::declared).collect();
        let schema = parse_message_type(&format!("message alert {{ {} }}", lines.join(" ")))?;
        let mut properties = WriterProperties::builder()
            .set_created_by(format!("weir {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
            .set_key_value_metadata(Some(columns().map(Column::explained).collect()));
        // What grows from row to row, or from alert to alert of a device, is small as differences and seldom comes again.
        let grows = |column: &&Column| {
            let Column { cells, .. } = column;
            matches!(cells, Cells::Position(_) | Cells::Time(_) | Cells::TimeOrNone(_) | Cells::CounterOrNone(_))
        };
        for column in COLUMNS.iter().filter(grows) {
            let path = ColumnPath::from(column.name.as_ref());
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
        Ok(Self { schema: Arc::new(schema), properties: Arc::new(properties.build()), labels })
    }
}

/// A file in the making.
pub(super) struct Part {
    writer: SerializedFileWriter<File>,
    labels: Arc<[Column]>,
}

impl Part {
    /// Begins a file.
    pub(super) fn new(file: File, format: &Format) -> Result<Self, ParquetError> {
        let writer = SerializedFileWriter::new(file, format.schema.clone(), format.properties.clone())?;
        Ok(Self { writer, labels: Arc::clone(&format.labels) })
    }

    /// Adds a group of rows.
    pub(super) fn write(&mut self, rows: &[Row], texts: &Texts) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in COLUMNS.iter().chain(self.labels.iter()) {
            let missing = || ParquetError::General("the schema has fewer columns than there are".to_owned());
            let mut out = group.next_column()?.ok_or_else(missing)?;
            column.write(&mut out, rows, texts)?;
            out.close()?;
        }
        group.close().map(drop)
    }

    /// Ends the file, once it is on the disk. Gives its length in bytes.
    pub(super) fn finish(self) -> Result<u64, ParquetError> {
        let file = self.writer.into_inner()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, path::Path};

    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::RowAccessor,
    };
    use weir_proto::v1;

    use super::{super::places::Place, *};

    /// Positions of the rows of a file, group by group.
    pub(in crate::cli::export) fn groups(path: &Path) -> Vec<Vec<u64>> {
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let group = |nth| {
            let rows = reader.get_row_group(nth).unwrap();
            let rows = rows.get_row_iter(None).unwrap().map(Result::unwrap);
            rows.map(|row| row.get_long(0).unwrap().cast_unsigned()).collect()
        };
        (0..reader.num_row_groups()).map(group).collect()
    }

    #[test]
    fn the_page_about_exports_lists_every_column() {
        let mut table = "| column | type | may be null | says |\n|---|---|:-:|---|\n".to_owned();
        for column in &COLUMNS {
            let (kind, optional) = column.kind();
            let optional = if optional { "yes" } else { "" };
            table.push_str(&format!("| `{}` | {kind} | {optional} | {} |\n", column.name, column.meaning));
        }
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/export.md");
        let page = fs::read_to_string(page).unwrap();
        let listed = page.split("export/columns.rs -->\n").nth(1).and_then(|rest| rest.split("<!-- /columns").next());
        assert!(listed == Some(&table), "put this into docs/export.md:\n{table}");
    }

    #[test]
    fn what_is_not_known_is_an_empty_cell_and_every_number_keeps_its_value() {
        let mut texts = Texts::default();
        let alert = v1::Alert {
            device_id: u64::MAX,
            originator_counter: Some(u64::MAX),
            weight: u32::MAX,
            measurement: Some(i32::MIN),
            code: 0xFFFF,
            ..v1::Alert::default()
        };
        let full = v1::LoggedAlert { alert: Some(alert), withheld: u32::MAX, ..v1::LoggedAlert::default() };
        let labels = ["", "Ash Lane"].map(Arc::from);
        let places = [Place::default(), Place { labels: &labels, ..Place::default() }];
        let alerts = [v1::LoggedAlert::default(), full];
        let rows: Vec<Row> =
            alerts.into_iter().zip(&places).map(|(logged, place)| Row::new(logged, place, &mut texts)).collect();
        let keys = ["feeder", "substation"].map(|key| key.parse().unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut part = Part::new(file.reopen().unwrap(), &Format::new(&keys).unwrap()).unwrap();
        part.write(&rows, &texts).unwrap();
        assert_eq!(part.finish().unwrap(), file.as_file().metadata().unwrap().len());

        let reader = SerializedFileReader::new(file.reopen().unwrap()).unwrap();
        let read: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        for part in ["mpxn: null", "model: null", "measurement: null", "originator_counter: null", "rule: null"] {
            assert!(read[0].contains(part), "{part}: {}", read[0]);
        }
        assert!(read[0].ends_with("label_feeder: null, label_substation: null}"), "{}", read[0]);
        assert!(read[1].ends_with("label_feeder: null, label_substation: \"Ash Lane\"}"), "{}", read[1]);
        let kept = reader.metadata().file_metadata().key_value_metadata().unwrap();
        assert!(kept.iter().any(|pair| pair.key == "column.label_substation"), "{kept:?}");
        for part in [
            "device_id: \"FF-FF-FF-FF-FF-FF-FF-FF\"",
            "originator_counter: 18446744073709551615",
            "weight: 4294967295",
            "measurement: -2147483648",
            "code: \"FFFF\"",
            "withheld: 4294967295",
        ] {
            assert!(read[1].contains(part), "{part}: {}", read[1]);
        }
    }
}
