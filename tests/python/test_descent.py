import pytest
import torch
from torch import nn

from manyfaces.embeddings.descent import DescentParameters, descend

STEPS = 4


class Slope(nn.Module):
    """One weight whose loss is the weight itself: every step of Adam lowers it by the step size."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(10.0))


def run(validation_losses, **changes):
    """Descend with given validation losses; return the course and the weight after each epoch."""
    network, after = Slope(), []

    def losses():
        for _ in range(STEPS):
            yield network.weight * 1.0

    def validate():
        after.append(network.weight.item())
        return validation_losses[len(after) - 1]

    settings = DescentParameters(
        **{"learning_rate": 0.1, "warmup_steps": 0, "weight_decay": 0.0, "schedule": "constant"}
        | {"max_epochs": len(validation_losses)}
        | changes
    )
    course = descend(network, losses, validate, STEPS, settings, "slope")
    return course, after, network.weight.item()


def rates(course):
    return [entry["learning_rate"] for entry in course.log]


def test_it_stops_without_improvement_and_keeps_the_best_weights():
    course, after, final = run([3.0, 2.0, 2.5, 2.0, 1.9999, 1.0, 0.5], patience=3)
    # 1.9999 is better by less than counts.
    assert (course.best_epoch, course.best_loss, len(course.log)) == (2, 2.0, 5)
    assert final == after[1]
    assert [entry["validation_loss"] for entry in course.log] == [3.0, 2.0, 2.5, 2.0, 1.9999]


def test_the_log_has_the_mean_loss_of_the_steps():
    course, _, _ = run([1.0])
    assert course.log == [
        {"epoch": 1, "train_loss": pytest.approx(9.85), "validation_loss": 1.0, "learning_rate": 0.1}
    ]


def test_the_step_size_warms_up():
    course, after, _ = run([3.0, 2.0, 1.0], warmup_steps=2 * STEPS)
    assert rates(course) == [0.05, 0.1, 0.1]
    assert 10 - after[0] == pytest.approx(0.1 * (1 + 2 + 3 + 4) / 8, abs=1e-4)


def test_a_plateau_halves_the_step_size():
    course, _, _ = run([1.0, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0], schedule="plateau", patience=5)
    assert rates(course) == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025]


def test_a_cosine_ends_at_zero():
    course, _, _ = run([4.0, 3.0, 2.0, 1.0], schedule="cosine")
    assert rates(course) == [pytest.approx(rate, abs=1e-6) for rate in (0.085355, 0.05, 0.014645, 0.0)]


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="Unknown schedule 'warm': take plateau"):
        run([1.0], schedule="warm")
