"""What a metric says, by name and labels."""

from prometheus_client.parser import text_string_to_metric_families

from antiphon.telemetry.metrics import Metrics


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    """Raises when there is none: a test that misspells a name must not pass."""
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )
    return float(value)
