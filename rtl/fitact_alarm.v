// The clamps as a sensor: counts the words on which a bound acted, keeps where the first one was, and raises an alarm
// when the count reaches a threshold.
//
// `hits` and `valid` belong to the word that goes to the output buffer in this cycle. A place is the lane (the lowest,
// if several are hit) and the number of compute instructions, GEMM or SYNC, that had retired before. What follows takes
// three stages, so that nothing is added to a path of the lanes: mark (and place), tally, count.

`default_nettype none

module fitact_alarm #(
    parameter LANES    = 16,
    parameter TALLY_W  = 5,    // holds LANES
    parameter NUMBER_W = 24,
    parameter LANE_W   = 8
) (
    input  wire                clk,
    input  wire                rst_n,
    input  wire                clear,
    input  wire [LANES-1:0]    hits,
    input  wire                valid,
    input  wire                retire,        // this word is the last one of its instruction

    // Registers.
    input  wire [31:0]         threshold,     // 0: no alarm
    output wire                clamped_set,   // pulse
    output wire                alarm_set,     // pulse
    output wire [31:0]         count,
    output wire [NUMBER_W-1:0] first_number,
    output wire [LANE_W-1:0]   first_lane
);

    reg [LANES-1:0]    hits_q;
    reg                retire_q;
    reg [NUMBER_W-1:0] number_q;
    reg [TALLY_W-1:0]  tally_q;
    reg                seen_q;
    reg [NUMBER_W-1:0] first_number_q;
    reg [LANE_W-1:0]   first_lane_q;
    reg                reached_q;

    wire any     = |hits_q;
    wire reached = |threshold && count >= threshold;

    reg [TALLY_W-1:0] tally;
    reg [LANE_W-1:0]  lane;
    integer i;
    always @(*) begin
        tally = {TALLY_W{1'b0}};
        lane  = {LANE_W{1'b0}};
        for (i = LANES - 1; i >= 0; i = i - 1) begin
            tally = tally + {{(TALLY_W - 1){1'b0}}, hits_q[i]};
            if (hits_q[i]) lane = i[LANE_W-1:0];
        end
    end

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            hits_q         <= {LANES{1'b0}};
            retire_q       <= 1'b0;
            number_q       <= {NUMBER_W{1'b0}};
            tally_q        <= {TALLY_W{1'b0}};
            seen_q         <= 1'b0;
            first_number_q <= {NUMBER_W{1'b0}};
            first_lane_q   <= {LANE_W{1'b0}};
            reached_q      <= 1'b0;
        end else begin
            hits_q    <= valid ? hits : {LANES{1'b0}};
            retire_q  <= retire;
            tally_q   <= tally;
            reached_q <= reached;
            if (retire_q) number_q <= number_q + 1'b1;
            if (any) seen_q <= 1'b1;
            if (any && !seen_q) begin
                first_number_q <= number_q;
                first_lane_q   <= lane;
            end
        end
    end

    fitact_saturating_counter #(
        .COUNT_W(32),
        .STEP_W(TALLY_W)
    ) u_count (
        .clk(clk),
        .rst_n(rst_n),
        .clear(clear),
        .step(tally_q),
        .count(count)
    );

    assign clamped_set  = any;
    assign alarm_set    = reached && !reached_q;
    assign first_number = first_number_q;
    assign first_lane   = first_lane_q;

endmodule

`default_nettype wire
