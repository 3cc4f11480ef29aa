import os

from h2o_wave import Q, app, main, ui  # main is what a Wave app is served by


@app("/")
async def serve(q: Q):
    q.client.count = (q.client.count or 0) + (1 if q.args.more else 0)
    q.page["hello"] = ui.form_card(
        box="1 1 4 4",
        items=[
            ui.text_xl(f"Hello from {os.environ.get('H2O_CLOUD_APP_NAME', 'Wave')}"),
            ui.text(f"{q.client.count} clicks"),
            ui.button(name="more", label="More", primary=True),
        ],
    )
    await q.page.save()
