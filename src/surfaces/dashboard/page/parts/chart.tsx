import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { onThemeChange } from "./theme.tsx";

interface ChartProps {
  /** A sentence that says what the chart shows, for screen readers. */
  readonly label: string;
  readonly data: uPlot.AlignedData;
  /** The colour of each series, as defined in the page's styles. */
  readonly tones: readonly ("--accent" | "--warm")[];
  readonly value: (value: number) => string;
  readonly bars?: boolean;
  readonly logarithmic?: boolean;
}

export function Chart(props: ChartProps) {
  const { label, data } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(latest.current, element), latest.current.data, element);
    };
    draw();
    const observer = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = element;
      if (width > 0 && height > 0) plot.current?.setSize({ width, height });
    });
    observer.observe(element);
    const stop = onThemeChange(draw);
    return () => {
      observer.disconnect();
      stop();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);

  useEffect(() => plot.current?.setData(data), [data]);

  return <div ref={box} class="chart" role="img" aria-label={label} />;
}

function optionsOf({ tones, value, bars, logarithmic }: ChartProps, box: HTMLElement): uPlot.Options {
  const style = getComputedStyle(box);
  const colour = (name: string) => style.getPropertyValue(name);
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--muted"), grid, ticks: { ...grid, size: 4 }, font: `11px ${style.fontFamily}` };
  return {
    width: Math.max(50, box.clientWidth),
    height: Math.max(50, box.clientHeight),
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 18, 0, 0],
    scales: {
      x: { range: (_, first, last) => (bars || last - first < 60 ? [first - 30, last + 60] : [first, last]) },
      y: logarithmic ? { distr: 3 } : { range: (_, __, most) => [0, Math.max(4, most * 1.1)] },
    },
    axes: [
      { ...axis, space: 60, size: 26, incrs: STEPS, values: (_, ticks) => ticks.map(timeOf) },
      { ...axis, size: 56, space: 24, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : value(tick))) },
    ],
    series: [
      {},
      ...tones.map((tone): uPlot.Series => {
        const drawn = bars ? uPlot.paths.bars?.({ size: [0.8, 40], align: 1 }) : () => null;
        return {
          stroke: colour(tone),
          fill: colour(tone),
          width: 0,
          ...(drawn === undefined ? {} : { paths: drawn }),
          points: { show: !bars, size: 6, fill: colour(tone) },
        };
      }),
    ],
  };
}

/** The possible steps of the time axis, in seconds. */
const STEPS = [1, 5, 10, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const exact = new Intl.DateTimeFormat(undefined, { minute: "2-digit", second: "2-digit" });

function timeOf(tick: number, _: number, ticks: readonly number[]): string {
  const short = (ticks[1] ?? tick) - (ticks[0] ?? tick) < 60;
  return (short ? exact : clock).format(new Date(tick * 1_000));
}
