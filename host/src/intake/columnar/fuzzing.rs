//! What holds for a Parquet file whatever its bytes are, for fuzzing and for the tests here; and files to begin with.
//!
//! It must not know how a column is read. Invariant: a decoder that goes on after the file has failed, numbers rows wrongly,
//! or says something unbounded makes [`decoded`] panic.

use std::sync::Arc;

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        properties::{WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::parser::parse_message_type,
};
use prost::bytes::Bytes;

use super::Alerts;
use crate::intake::fuzzing::plain;

/// Rows that are read of a file: a few bytes can say that there are any number of them.
const ROWS_MAX: usize = 4_096;

/// Reads bytes as a file. Gives how many alerts were in it.
///
/// # Panics
/// Where the decoder broke its word.
pub fn decoded(bytes: Vec<u8>) -> usize {
    let mut alerts = match Alerts::new(Bytes::from(bytes)) {
        Ok(alerts) => alerts,
        Err(error) => {
            plain(&error);
            return 0;
        }
    };
    std::iter::from_fn(|| alerts.remark()).for_each(|remark| plain(&remark));
    let mut count = 0;
    for row in 1..=ROWS_MAX as u64 {
        match alerts.next() {
            None => break,
            Some(Ok(_)) => count += 1,
            Some(Err(error)) => {
                plain(&error);
                if error.fatal {
                    assert!(alerts.next().is_none(), "nothing comes after the end");
                    break;
                }
            }
        }
        assert_eq!(alerts.line(), row);
    }
    count
}

/// A file as one might come, another for another seed.
///
/// # Panics
/// Where it cannot be written, which memory gives no reason for.
pub fn example(seed: u32) -> Vec<u8> {
    written(seed).expect("memory takes it")
}

fn written(seed: u32) -> Result<Vec<u8>, ParquetError> {
    let [optional, packed, dictionary, second] = [0, 1, 2, 3].map(|bit| seed >> bit & 1 == 1);
    let rows = seed as usize % 40 + 1;
    let some = if optional { "optional" } else { "required" };
    let schema = format!(
        "message alerts {{ required binary device (STRING); required int32 code (INTEGER(16,false)); {some} int64 occurred_at \
         (TIMESTAMP(MILLIS,true)); {some} int32 voltage_v (DECIMAL(6,1)); required binary other; }}"
    );
    let properties = WriterProperties::builder()
        .set_compression(if packed { Compression::SNAPPY } else { Compression::UNCOMPRESSED })
        .set_dictionary_enabled(dictionary)
        .set_writer_version(if second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
        .set_data_page_row_count_limit(16)
        .set_write_batch_size(8);
    let schema = Arc::new(parse_message_type(&schema)?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()))?;
    for _ in 0..seed % 2 + 1 {
        let mut group = writer.next_row_group()?;
        let levels: Vec<i16> = (0..rows).map(|row| i16::from(!optional || row % 3 > 0)).collect();
        let filled = levels.iter().filter(|level| **level == 1).count();
        let texts = vec![ByteArray::from("00-DB-12-34-56-78-90-A0"); rows];
        let levels = optional.then_some(&levels[..]);
        for column in 0..5 {
            let Some(mut out) = group.next_column()? else { break };
            match column {
                1 => out.typed::<Int32Type>().write_batch(&vec![0x8F40; rows], None, None)?,
                2 => out.typed::<Int64Type>().write_batch(&vec![1_764_000_000_123; filled], levels, None)?,
                3 => out.typed::<Int32Type>().write_batch(&vec![2_581; filled], levels, None)?,
                _ => out.typed::<ByteArrayType>().write_batch(&texts, None, None)?,
            };
            out.close()?;
        }
        group.close()?;
    }
    writer.into_inner()
}
