"""Metrics of the rules: gauges that live with their object, counts of what happened, starts at zero."""

from __future__ import annotations

from engine.base.errors import Refused
from engine.base.kinds import Key
from engine.base.model import Outcome
from engine.measure import Meter
from engine.ports.talos.client import CallRecord
from engine.ruleset.model import RuleSet
from tests.unit.spine.world import FAILED, WIDGET, catalog, decided, key_of, rules_of, widget

GAUGES = """
observe:
  a: {call: test.any, with: {of: a}}
act:
  - {id: s, kube: {apply: ConfigMap, name: c, data: {}}}
metrics:
  - {name: t_size, type: gauge, help: x, labels: {name: "${self.metadata.name}"}, value: "${default(self.spec.size, `0`)}"}
  - {name: t_word, type: gauge, help: x, labels: {word: "${obs.a.word}"}, value: "${obs.a.value}"}
  - {name: t_open, type: gauge, help: x, labels: {}, value: 1, when: "${default(self.spec.open, `false`)}"}
  - name: t_part
    type: gauge
    help: x
    each: {in: "${obs.a.parts}", as: p, key: "${p.name}"}
    labels: {part: "${p.name}"}
    value: ${p.size}
  - {name: t_sum, type: gauge, help: x, aggregate: sum, labels: {}, value: 1}
  - {name: t_done_total, type: counter, help: x, on: act.s, labels: {result: "${event.result}"}, start: {result: [success, error, waiting]}}
  - {name: t_seconds, type: histogram, help: x, on: act.s, labels: {}, value: "${event.seconds}", buckets: [1, 5]}
"""


def text(meter):
    return [line for line in meter.series.render().decode().splitlines() if not line.startswith("#")]


def lines(meter, family):
    return [line for line in text(meter) if line.split("{")[0].split(" ")[0] == family]


def measured(meter, name="w", outcomes=(), a=FAILED, **spec):
    made = decided(GAUGES, widget(name, spec=spec), a=a)
    meter.measured(made.rule, key_of(name), made.names, outcomes)


def meter_of(rule_text=GAUGES):
    return Meter(rules_of(rule_text), 1)


def test_the_gauges_of_an_object_are_replaced_as_a_set():
    meter = meter_of()
    measured(meter, a={"word": "Pending", "value": 1, "parts": []}, size=3)
    assert lines(meter, "t_size") == ['t_size{name="w"} 3']
    assert lines(meter, "t_word") == ['t_word{word="Pending"} 1']
    measured(meter, a={"word": "Ready", "value": 2, "parts": []}, size=4)
    assert lines(meter, "t_size") == ['t_size{name="w"} 4']
    assert lines(meter, "t_word") == ['t_word{word="Ready"} 2']


def test_the_gauges_of_an_object_go_with_it_and_its_counts_stay():
    meter = meter_of()
    measured(meter, outcomes=[Outcome(id="s", item="", status="created", seconds=2.0)])
    measured(meter, "other")
    meter.drop(key_of())
    assert lines(meter, "t_size") == ['t_size{name="other"} 0']
    assert lines(meter, "t_sum") == ["t_sum 1"]
    assert 't_done_total{result="success"} 1' in lines(meter, "t_done_total")


def test_what_nobody_could_tell_is_no_series_instead_of_a_guess():
    meter = meter_of()
    measured(meter)
    assert lines(meter, "t_word") == lines(meter, "t_part") == lines(meter, "t_open") == []
    measured(meter, a={"word": None, "value": 1, "parts": None}, open=True)
    assert lines(meter, "t_word") == lines(meter, "t_part") == []
    assert lines(meter, "t_open") == ["t_open 1"]


def test_a_value_that_is_no_number_is_no_series_and_no_failed_pass():
    meter = meter_of()
    for value in ("three", {"x": 1}, [1], True):
        measured(meter, a={"word": "x", "value": value, "parts": 5}, size=1)
        assert lines(meter, "t_word") == []
    assert lines(meter, "t_size") == ['t_size{name="w"} 1']


def test_each_item_has_a_series_and_one_without_a_label_spares_the_others():
    meter = meter_of()
    measured(meter, a={"parts": [{"name": "a", "size": 1}, {"size": 2}, {"name": "c", "size": 3}]})
    assert lines(meter, "t_part") == ['t_part{part="a"} 1', 't_part{part="c"} 3']


def test_objects_add_to_one_series_where_the_rule_says_so():
    meter = meter_of()
    for name in "abc":
        measured(meter, name)
    assert lines(meter, "t_sum") == ["t_sum 3"]
    measured(meter, "a")
    assert lines(meter, "t_sum") == ["t_sum 3"]


def test_known_label_sets_are_there_from_the_start():
    assert sorted(lines(meter_of(), "t_done_total")) == [
        f't_done_total{{result="{word}"}} 0' for word in ("error", "success", "waiting")
    ]


STARTING = """
  - name: t_mine_total
    type: counter
    help: x
    on: act.s
    labels: {name: "${self.metadata.name}", result: "${event.result}"}
    start: {result: [success, error]}
  - {name: t_mine_seconds, type: histogram, help: x, on: act.s, labels: {name: "${self.metadata.name}", x: a}, start: {x: [a]},
     value: "${event.seconds}", buckets: [1], livesWith: {kind: Widget, name: "${self.metadata.name}"}}
"""


def test_the_counters_of_an_object_are_there_before_anything_is_counted():
    meter = meter_of(GAUGES + STARTING)
    assert lines(meter, "t_mine_total") == []
    made = decided(GAUGES + STARTING, widget("w"), a=FAILED)
    meter.measured(made.rule, key_of("w"), made.names, ())
    zeros = [f't_mine_total{{name="w",result="{word}"}} 0' for word in ("success", "error")]
    assert lines(meter, "t_mine_total") == zeros
    assert lines(meter, "t_mine_seconds_count") == ['t_mine_seconds_count{name="w",x="a"} 0']
    ended = [Outcome(id="s", item="", status="failed", error=Refused("no"), seconds=2.0)]
    meter.measured(made.rule, key_of("w"), made.names, ended)
    meter.measured(made.rule, key_of("w"), made.names, ())
    assert lines(meter, "t_mine_total") == [zeros[0], 't_mine_total{name="w",result="error"} 1']
    assert lines(meter, "t_mine_seconds_count") == ['t_mine_seconds_count{name="w",x="a"} 1']
    meter.drop(key_of("w"))
    assert lines(meter, "t_mine_seconds_count") == []


def test_outcomes_are_counted_by_how_they_ended():
    meter = meter_of()
    outcomes = [
        Outcome(id="s", item="", status="created", seconds=0.5),
        Outcome(id="s", item="", status="failed", error=Refused("no"), seconds=2.0),
        Outcome(id="s", item="", status="waiting", seconds=9.0),
        Outcome(id="other", item="", status="created", seconds=9.0),
    ]
    measured(meter, outcomes=outcomes)
    assert sorted(lines(meter, "t_done_total")) == [
        f't_done_total{{result="{word}"}} 1' for word in ("error", "success", "waiting")
    ]
    assert lines(meter, "t_seconds_bucket") == [
        't_seconds_bucket{le="1"} 1',
        't_seconds_bucket{le="5"} 2',
        't_seconds_bucket{le="+Inf"} 3',
    ]


def shipped() -> RuleSet:
    from engine.base.assets import asset
    from engine.ruleset.load import load_rules

    return load_rules((asset("rules"),), catalog())


def test_each_pass_and_each_call_is_counted_under_the_names_of_the_shipped_rules():
    meter = Meter(shipped(), 1)
    meter.passed("talosmachine", "success", 0.2)
    meter.passed("talosmachine", "error", 0.2)
    record = CallRecord("machine.MachineService/Version", "127.0.9.1", "OK", 0.1, "yes")
    meter.called(record)
    meter.called(CallRecord(record.method, "127.0.9.1", "UNAVAILABLE", 0.1, "no"))
    found = text(meter)
    for result, count in (("success", 1), ("error", 1), ("requeue", 0), ("not_found", 0)):
        line = f'talos_operator_reconciliation_total{{controller="talosmachine",result="{result}"}} {count}'
        assert line in found
    for result in ("success", "error"):
        name = "talos_operator_talos_api_calls_total"
        assert f'{name}{{operation="MachineService/Version",result="{result}"}} 1' in found


def test_a_pass_that_ends_with_a_bug_is_a_panic_to_controller_runtimes_dashboards():
    meter = Meter(shipped(), 1)
    family = "controller_runtime_reconcile_panics_total"
    assert f'{family}{{controller="talosmachine"}} 0' in text(meter)
    meter.passed("talosmachine", "error", 0.2)
    meter.passed("talosmachine", "error", 0.2, bug=True)
    assert f'{family}{{controller="talosmachine"}} 1' in text(meter)


def test_readings_of_the_certificate_are_counted_from_0_on():
    meter = Meter(shipped(), 1)
    family = "certwatcher_read_certificate"
    assert {f"{family}_total 0", f"{family}_errors_total 0"} <= set(text(meter))
    for result in ("success", "error", "success"):
        meter.read_certificate(result)
    assert {f"{family}_total 3", f"{family}_errors_total 1"} <= set(text(meter))


def test_what_the_engine_tells_of_itself_is_asked_at_each_scrape():
    meter = Meter(shipped(), 1)
    family = "talos_operator_metrics_certificate_expiry_timestamp_seconds"
    assert lines(meter, family) == []
    ends = iter((1000.0, 2000.0))
    meter.ask("certificateExpires", lambda: next(ends))
    assert lines(meter, family) == [f"{family} 1000"]
    assert lines(meter, family) == [f"{family} 2000"]
    meter.ask("watches", lambda: [{"group": "", "resource": "secrets", "heard": 5.0}])
    meter.ask("certificateExpires", lambda: None)
    assert lines(meter, family) == []
    family = "talos_operator_kubernetes_watch_last_event_timestamp_seconds"
    assert lines(meter, family) == [f'{family}{{group="",resource="secrets"}} 5']


def test_the_queue_is_measured_by_kind():
    rules = shipped()
    machine = next(kind for kind in rules.rules if kind.name == "TalosMachine")
    meter = Meter(rules, 1)
    before = text(meter)
    meter.added(Key(machine, "default", "m"))
    assert text(meter) != before


def test_a_kind_of_another_name_never_touches_these_series():
    meter = meter_of()
    measured(meter)
    meter.drop(Key(WIDGET, "another", "w"))
    assert lines(meter, "t_size") == ['t_size{name="w"} 0']
