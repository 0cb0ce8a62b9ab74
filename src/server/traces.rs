//! Sends traces away, where the settings ask for it and this build can.

use super::ServeError;
use crate::config::settings::TraceSettings;
use crate::spans::Tracer;
#[cfg(feature = "otlp")]
use crate::telemetry::otlp::{Exporter, ExporterSettings};
#[cfg(feature = "otlp")]
use crate::upstream::{Trust, client_config};

/// What sends them; nothing where nobody asks for any.
#[derive(Debug)]
pub(super) struct Traces {
    #[cfg(feature = "otlp")]
    exporter: Option<Exporter>,
}

#[cfg(feature = "otlp")]
impl Traces {
    /// Begins to send them.
    ///
    /// # Errors
    /// [`ServeError`] where they never could be.
    pub(super) fn start(settings: Option<&TraceSettings>) -> Result<Self, ServeError> {
        let Some(settings) = settings else { return Ok(Self { exporter: None }) };
        let trust = settings.authorities.clone().map_or(Trust::System, Trust::Only);
        let is_https = settings.endpoint.scheme_str() == Some("https");
        let exporter = Exporter::start(ExporterSettings {
            endpoint: settings.endpoint.clone(),
            tls: client_config(&trust, is_https).map_err(|error| ServeError::Traces(error.into_cause()))?,
            headers: settings.headers.clone(),
            service_name: settings.service_name.clone(),
            sample_ratio: settings.sample_ratio.number(),
            timeout: settings.timeout,
        });
        Ok(Self { exporter: Some(exporter.map_err(|error| ServeError::Traces(error.into()))?) })
    }

    /// Begins those of requests; none where there are to be none.
    pub(super) fn tracer(&self) -> Option<Tracer> {
        self.exporter.as_ref().map(Exporter::tracer)
    }

    /// Sends what there is, and no more.
    pub(super) async fn finish(self) {
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
    }
}

#[cfg(not(feature = "otlp"))]
impl Traces {
    /// Nothing to begin with.
    ///
    /// # Errors
    /// [`ServeError::NotBuilt`] where there is to be something; `config` says so before, and where.
    pub(super) fn start(settings: Option<&TraceSettings>) -> Result<Self, ServeError> {
        settings.map_or(Ok(Self {}), |_| Err(ServeError::NotBuilt { feature: "otlp" }))
    }

    /// None.
    pub(super) fn tracer(&self) -> Option<Tracer> {
        None
    }

    /// Nothing to end with.
    pub(super) async fn finish(self) {}
}
