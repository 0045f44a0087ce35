import numpy as np
import pytest
import torch

from recommender.fingerprint.features import MODEL_KPIS
from recommender.fingerprint.sequences import sequences
from trainer.arena.retrieval import correlations
from trainer.arena.shapes import DEPENDENCIES, draw_shapes
from trainer.export import export_network
from trainer.network import Network, NetworkShape
from trainer.relations import RELATIONS, Readout, relations


def patches(**options):
    drawn = draw_shapes(DEPENDENCIES, 3, 9, **options)
    found = sequences(drawn.batch)
    return drawn, torch.from_numpy(found.hours), torch.from_numpy(found.days)


def test_the_first_numbers_are_the_correlations_between_kpis():
    drawn, hours, days = patches()
    found = relations(hours, days).numpy()
    assert found.shape == (12, RELATIONS)
    wanted = correlations(drawn.batch)
    # Movement near the noise counts less, so a quiet KPI's correlation is drawn to zero.
    loud = np.abs(wanted) > 0.5
    assert np.abs(found[:, : wanted.shape[1]] - wanted)[loud].max() < 0.1


def test_what_is_missing_relates_to_nothing_and_changes_nothing_else():
    _, hours, days = patches()
    _, fewer_hours, fewer_days = patches(hidden=("memory",))
    whole, fewer = relations(hours, days), relations(fewer_hours, fewer_days)
    pairs = [(a, b) for a in range(len(MODEL_KPIS)) for b in range(a + 1, len(MODEL_KPIS))]
    memory = MODEL_KPIS.index("memory")
    with_memory = torch.tensor([memory in pair for pair in pairs])
    count = len(pairs)
    assert (fewer[:, :count][:, with_memory] == 0).all()
    assert torch.allclose(fewer[:, :count][:, ~with_memory], whole[:, :count][:, ~with_memory])


@pytest.mark.parametrize("value", [0.0, 1.0, -12.0, 1e3])
def test_absurd_patches_give_finite_numbers(value):
    hours, days = torch.full((2, 24, 288), value), torch.full((2, 15, 576), value)
    found = relations(hours, days)
    assert torch.isfinite(found).all()
    assert found.abs().max() < 10


def test_a_network_with_relations_passes_the_export_gate(tmp_path):
    torch.manual_seed(2)
    export_network(Network(NetworkShape(hidden=16, head=24, relations=True)), tmp_path / "n.onnx")


def test_the_readout_teaches_the_fingerprint():
    _, hours, days = patches()
    torch.manual_seed(3)
    network, readout = Network(NetworkShape(hidden=16, head=24)), Readout(64)
    optimiser = torch.optim.Adam([*network.parameters(), *readout.parameters()], 1e-2)
    losses = []
    for _ in range(12):
        loss = readout.loss(network.encode(hours, days), hours, days)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
