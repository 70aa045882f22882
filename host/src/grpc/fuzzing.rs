//! Every request of the protocol, read and converted, for fuzzing.
//!
//! It must not ask a pipeline. Invariant: whatever the bytes are, there is a value of the domain or a status whose
//! message is bounded and plain.

use prost::Message;
use weir_proto::v1;

use super::{
    convert::{access, alert, count, device, listing, plugin, point, rule, trial},
    status::status,
};
use crate::{config::IntakeLimits, domain::is_unsafe, pipeline::Refusal};

/// Requests that [`request`] knows: all that hold anything which is converted.
pub const REQUESTS: u8 = 12;

/// Bytes of an upload.
const UPLOAD_BYTES_MAX: usize = 1_000;

/// Characters of a status message, as `status` has it.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Reads bytes as a request and converts it. Gives whether it was taken.
///
/// # Panics
/// Where a refusal's message is not bounded and plain.
pub fn request(kind: u8, bytes: &[u8]) -> bool {
    let limits = IntakeLimits { batch_alerts_max: 100, put_devices_max: 100, ..IntakeLimits::default() };
    match kind % REQUESTS {
        0 => taken(bytes, |request| alert::batch(request, &limits)),
        1 => taken(bytes, |request| alert::single_batch(request, &limits)),
        2 => taken(bytes, |v1::GetProducerRequest { producer_id }| alert::producer(producer_id)),
        3 => taken(bytes, |request| listing::query(request, &limits)),
        4 => taken(bytes, |request: v1::CreateTokenRequest| access::new_token(&request)),
        5 => taken(bytes, access::audit_page),
        6 => taken(bytes, count::query),
        7 => taken(bytes, |request| device::devices(request, limits.put_devices_max)),
        8 => {
            taken(bytes, device::wanted)
                | taken(bytes, |v1::GetPointHistoryRequest { mpxn }| point::wanted(&mpxn))
                | taken(bytes, point::wanted_points)
                | taken(bytes, point::proposal_query)
        }
        9 => taken(bytes, |request: v1::UploadPluginRequest| {
            let mut upload = plugin::Upload::new(UPLOAD_BYTES_MAX);
            upload.take(request.clone())?;
            upload.take(request)?;
            upload.finish()
        }),
        10 => taken(bytes, rule::request) | taken(bytes, rule::history),
        _ => taken(bytes, trial::query) | taken(bytes, |request| Ok(trial::promotion(request))),
    }
}

fn taken<R: Message + Default, T>(bytes: &[u8], convert: impl FnOnce(R) -> Result<T, Refusal>) -> bool {
    let Ok(request) = R::decode(bytes) else { return false };
    let converted = convert(request).map_err(status);
    if let Err(status) = &converted {
        assert!(status.message().chars().count() <= MESSAGE_CHARS_MAX, "{}", status.message());
        assert!(!status.message().chars().any(is_unsafe), "{:?}", status.message());
    }
    converted.is_ok()
}
